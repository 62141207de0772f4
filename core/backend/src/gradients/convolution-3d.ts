import * as tf from '@tensorflow/tfjs-core';
import { defineGradient, runKernel } from './define.js';
import { dilateAxis, padOrCrop } from './windows.js';

type Triple = [number, number, number];

interface Attrs {
  readonly strides: number | Triple;
  readonly pad: 'valid' | 'same';
  readonly dilations?: number | Triple;
}

interface Geometry {
  readonly axis: number;
  readonly input: number;
  readonly output: number;
  readonly filter: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
}

/** Sizes, strides and padding of the three spatial axes. */
function geometry(xShape: number[], filterShape: number[], attrs: Attrs): Geometry[] {
  const info = tf.backend_util.computeConv3DInfo(
    xShape as [number, number, number, number, number],
    filterShape as [number, number, number, number, number],
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
  );
  const strides = [info.strideDepth, info.strideHeight, info.strideWidth];
  const dilations = [info.dilationDepth, info.dilationHeight, info.dilationWidth];
  const before = [info.padInfo.front, info.padInfo.top, info.padInfo.left];
  return [1, 2, 3].map((axis, i) => ({
    axis,
    input: xShape[axis]!,
    output: info.outShape[axis]!,
    filter: filterShape[i]!,
    stride: strides[i]!,
    dilation: dilations[i]!,
    before: before[i]!,
  }));
}

function convolve(x: tf.Tensor, filter: tf.Tensor, strides: number[], dilations: number[]) {
  return runKernel(
    tf.Conv3D,
    { x, filter },
    { strides, pad: 'valid', dataFormat: 'NDHWC', dilations },
  );
}

/**
 * The gradient for the volumes: dy with the stride's zeros put in, convolved with the reversed
 * filter. The wasm kernel `Conv3DBackpropInputV2` gives wrong numbers.
 */
function volumeGradient(dy: tf.Tensor, filter: tf.Tensor, axes: readonly Geometry[]): tf.Tensor {
  let spread = dy;
  for (const { axis, input, output, filter: taps, stride, dilation, before } of axes) {
    const reach = (taps - 1) * dilation;
    const stuffed = dilateAxis(spread, axis, stride);
    const lead = reach - before;
    spread = padOrCrop(stuffed, axis, lead, input + reach - lead - ((output - 1) * stride + 1));
  }
  const reversed = tf.transpose(tf.reverse(filter, [0, 1, 2]), [0, 1, 2, 4, 3]);
  return convolve(
    spread,
    reversed,
    [1, 1, 1],
    axes.map(({ dilation }) => dilation),
  );
}

/** The gradient for the filter: x convolved with dy, batch and channels exchanged. */
function filterGradient(dy: tf.Tensor, x: tf.Tensor, axes: readonly Geometry[]): tf.Tensor {
  let padded = x;
  for (const { axis, input, output, filter, stride, dilation, before } of axes) {
    const used = (output - 1) * stride + (filter - 1) * dilation + 1;
    padded = padOrCrop(padded, axis, before, used - input - before);
  }
  const exchanged = tf.transpose(padded, [4, 1, 2, 3, 0]);
  const kernel = tf.transpose(dy, [1, 2, 3, 0, 4]);
  const strides = axes.map(({ dilation }) => dilation);
  const dilations = axes.map(({ stride }) => stride);
  return tf.transpose(convolve(exchanged, kernel, strides, dilations), [1, 2, 3, 0, 4]);
}

export const convolution3d: readonly tf.GradConfig[] = [
  defineGradient<[x: tf.Tensor, filter: tf.Tensor], Attrs>(
    tf.Conv3D,
    { inputs: ['x', 'filter'] },
    (dy, [x, filter], attrs) => {
      const axes = geometry(x.shape, filter.shape, attrs);
      return {
        x: () => volumeGradient(dy, filter, axes),
        filter: () => filterGradient(dy, x, axes),
      };
    },
  ),
  // The forward kernel of tf.conv3dTranspose.
  defineGradient<[dy: tf.Tensor, filter: tf.Tensor], Attrs & { inputShape: number[] }>(
    tf.Conv3DBackpropInputV2,
    { inputs: ['dy', 'filter'] },
    (ddx, [dy, filter], attrs) => {
      const { strides, pad, inputShape } = attrs;
      const axes = geometry(inputShape, filter.shape, { strides, pad });
      return {
        dy: () => runKernel(tf.Conv3D, { x: ddx, filter }, { strides, pad, dilations: [1, 1, 1] }),
        filter: () => filterGradient(dy, ddx, axes),
      };
    },
  ),
];
