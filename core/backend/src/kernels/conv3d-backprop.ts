import * as tf from '@tensorflow/tfjs-core';
import { dilateAxis, padOrCrop } from '../gradients/windows.js';
import { composition } from './repair.js';

type Shape5D = [number, number, number, number, number];

interface Attrs {
  readonly strides: number | [number, number, number];
  readonly pad: 'valid' | 'same';
}

interface Axis {
  readonly axis: number;
  readonly input: number;
  readonly output: number;
  readonly filter: number;
  readonly stride: number;
  readonly before: number;
}

function computeAxes(inputShape: Shape5D, filterShape: Shape5D, { strides, pad }: Attrs): Axis[] {
  const info = tf.backend_util.computeConv3DInfo(inputShape, filterShape, strides, 1, pad);
  const stride = [info.strideDepth, info.strideHeight, info.strideWidth];
  const before = [info.padInfo.front, info.padInfo.top, info.padInfo.left];
  return [1, 2, 3].map((axis, i) => ({
    axis,
    input: inputShape[axis]!,
    output: info.outShape[axis]!,
    filter: filterShape[i]!,
    stride: stride[i]!,
    before: before[i]!,
  }));
}

/**
 * The gradient for the volumes, and the forward kernel of a transposed convolution: dy with the zeros
 * of the stride put in, convolved with the reversed filter. The wasm kernel gives wrong numbers.
 */
export const conv3dBackpropInput = composition<
  { readonly dy: tf.Tensor5D; readonly filter: tf.Tensor5D },
  Attrs & { readonly inputShape: Shape5D }
>(({ dy, filter }, attrs) => {
  let spread: tf.Tensor = dy;
  for (const { axis, input, output, filter: taps, stride, before } of computeAxes(
    attrs.inputShape,
    filter.shape,
    attrs,
  )) {
    const lead = taps - 1 - before;
    const length = (output - 1) * stride + 1;
    spread = padOrCrop(dilateAxis(spread, axis, stride), axis, lead, input + before - length);
  }
  const reversed = tf.transpose(tf.reverse(filter, [0, 1, 2]), [0, 1, 2, 4, 3]);
  return tf.conv3d(spread as tf.Tensor5D, reversed, 1, 'valid');
});

/** The gradient for the filter by exchange of batch and channels, as in two dimensions. */
export const conv3dBackpropFilter = composition<
  { readonly x: tf.Tensor5D; readonly dy: tf.Tensor5D },
  Attrs & { readonly filterShape: Shape5D }
>(({ x, dy }, attrs) => {
  const axes = computeAxes(x.shape, attrs.filterShape, attrs);
  let touched: tf.Tensor = x;
  for (const { axis, input, output, filter, stride, before } of axes) {
    const length = (output - 1) * stride + filter;
    touched = padOrCrop(touched, axis, before, length - input - before);
  }
  const volumes = tf.transpose(touched as tf.Tensor5D, [4, 1, 2, 3, 0]);
  const filter = tf.transpose(dy, [1, 2, 3, 0, 4]);
  const dilations = axes.map(({ stride }) => stride) as [number, number, number];
  const swapped = tf.conv3d(volumes, filter, 1, 'valid', 'NDHWC', dilations);
  return tf.transpose(swapped, [1, 2, 3, 0, 4]);
});
