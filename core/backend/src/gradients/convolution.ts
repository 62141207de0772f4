import * as tf from '@tensorflow/tfjs-core';
import { defineGradient, runKernel } from './define.js';
import type { InputGradients } from './define.js';
import { dilateAxis, strideAxis } from './windows.js';

type Pad = 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;

export interface ConvolutionAttrs {
  readonly strides: number | [number, number];
  readonly pad: Pad;
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dilations?: number | [number, number];
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

type Gradient = (
  dy: tf.Tensor,
  x: tf.Tensor,
  filter: tf.Tensor,
  attrs: ConvolutionAttrs,
) => tf.Tensor;

const conv2dInput: Gradient = (dy, x, filter, attrs) =>
  runKernel(tf.Conv2DBackpropInput, { dy, filter }, { ...attrs, inputShape: x.shape });

const conv2dFilter: Gradient = (dy, x, filter, attrs) =>
  runKernel(tf.Conv2DBackpropFilter, { x, dy }, { ...attrs, filterShape: filter.shape });

const depthwiseInput: Gradient = (dy, x, filter, attrs) =>
  runKernel(
    tf.DepthwiseConv2dNativeBackpropInput,
    { dy, filter },
    { ...attrs, inputShape: x.shape },
  );

const depthwiseFilter: Gradient = (dy, x, filter, attrs) =>
  runKernel(
    tf.DepthwiseConv2dNativeBackpropFilter,
    { x, dy },
    { ...attrs, filterShape: filter.shape },
  );

/**
 * A dilated filter is a larger filter with zeros in it: the backprop kernels, which know no
 * dilation, are run on that one, and the taps that count are picked from its gradient.
 */
function dilatedGradients(
  dInput: Gradient,
  dFilter: Gradient,
  dy: tf.Tensor,
  x: tf.Tensor,
  filter: tf.Tensor,
  attrs: ConvolutionAttrs,
): { x: () => tf.Tensor; filter: () => tf.Tensor } {
  const [dh, dw] = pair(attrs.dilations ?? 1);
  const plain: ConvolutionAttrs = { ...attrs, dilations: [1, 1] };
  const large = () => dilateAxis(dilateAxis(filter, 0, dh), 1, dw);
  return {
    x: () => dInput(dy, x, large(), plain),
    filter: () => strideAxis(strideAxis(dFilter(dy, x, large(), plain), 0, dh), 1, dw),
  };
}

function pair(value: number | readonly [number, number]): readonly [number, number] {
  return typeof value === 'number' ? [value, value] : value;
}

/** The gradients of `tf.conv2d` with respect to the images and the filter, at any dilation. */
export function conv2dGradients(
  dy: tf.Tensor,
  x: tf.Tensor,
  filter: tf.Tensor,
  attrs: ConvolutionAttrs,
): { x: () => tf.Tensor; filter: () => tf.Tensor } {
  return dilatedGradients(conv2dInput, conv2dFilter, dy, x, filter, attrs);
}

/** The same for `tf.depthwiseConv2d`. */
export function depthwiseGradients(
  dy: tf.Tensor,
  x: tf.Tensor,
  filter: tf.Tensor,
  attrs: ConvolutionAttrs,
): { x: () => tf.Tensor; filter: () => tf.Tensor } {
  return dilatedGradients(depthwiseInput, depthwiseFilter, dy, x, filter, attrs);
}

type Saved = [first: tf.Tensor, second: tf.Tensor];

/**
 * Both kernels of a convolution's backward pass are bilinear, so their own gradients are again the
 * convolution and the other backward kernel.
 */
function backwardKernels(
  names: { readonly forward: string; readonly input: string; readonly filter: string },
  dInput: Gradient,
  dFilter: Gradient,
): tf.GradConfig[] {
  const forward = (x: tf.Tensor, filter: tf.Tensor, attrs: ConvolutionAttrs) =>
    runKernel(names.forward, { x, filter }, { ...attrs, dilations: [1, 1] });
  const filterGradients = (
    ddw: tf.Tensor,
    [x, dy]: Saved,
    attrs: ConvolutionAttrs,
  ): InputGradients => ({
    x: () => dInput(dy, x, ddw, attrs),
    dy: () => forward(x, ddw, attrs),
  });
  const inputGradients = (
    ddx: tf.Tensor,
    [dy, filter]: Saved,
    attrs: ConvolutionAttrs,
  ): InputGradients => ({
    dy: () => forward(ddx, filter, attrs),
    filter: () => dFilter(dy, ddx, filter, attrs),
  });
  return [
    defineGradient<Saved, ConvolutionAttrs>(names.filter, { inputs: ['x', 'dy'] }, filterGradients),
    defineGradient<Saved, ConvolutionAttrs>(
      names.input,
      { inputs: ['dy', 'filter'] },
      inputGradients,
    ),
  ];
}

export const convolution: readonly tf.GradConfig[] = [
  defineGradient<Saved, ConvolutionAttrs>(
    tf.Conv2D,
    { inputs: ['x', 'filter'] },
    (dy, [x, filter], attrs) => conv2dGradients(dy, x, filter, attrs),
  ),
  defineGradient<Saved, ConvolutionAttrs>(
    tf.DepthwiseConv2dNative,
    { inputs: ['x', 'filter'] },
    (dy, [x, filter], attrs) => depthwiseGradients(dy, x, filter, attrs),
  ),
  ...backwardKernels(
    { forward: tf.Conv2D, input: tf.Conv2DBackpropInput, filter: tf.Conv2DBackpropFilter },
    conv2dInput,
    conv2dFilter,
  ),
  ...backwardKernels(
    {
      forward: tf.DepthwiseConv2dNative,
      input: tf.DepthwiseConv2dNativeBackpropInput,
      filter: tf.DepthwiseConv2dNativeBackpropFilter,
    },
    depthwiseInput,
    depthwiseFilter,
  ),
];
