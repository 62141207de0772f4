import * as tf from '@tensorflow/tfjs-core';
import { convAxes, frame, reach } from './conv-geometry.js';
import type { ConvAttrs, ConvAxes, ConvAxis, Shape4D } from './conv-geometry.js';
import { composition } from './repair.js';

interface Inputs {
  readonly dy: tf.Tensor4D;
  readonly filter: tf.Tensor4D;
}

interface Attrs extends ConvAttrs {
  readonly inputShape: Shape4D;
}

/** Puts `stride - 1` zeros after every row and column, so that the gradient has stride 1. */
function stuff(dy: tf.Tensor4D, [rows, columns]: ConvAxes): tf.Tensor4D {
  if (rows.stride === 1 && columns.stride === 1) return dy;
  const [batch, height, width, channels] = dy.shape;
  const cells = tf.reshape(dy, [batch * height, 1, width, channels]);
  const stuffed = tf.pad(cells, [
    [0, 0],
    [0, rows.stride - 1],
    [0, 0],
    [0, (columns.stride - 1) * channels],
  ]);
  return tf.reshape(stuffed, [batch, height * rows.stride, width * columns.stride, channels]);
}

/**
 * The input gradient of a depthwise convolution: each of the C·M output channels is convolved with its
 * own reversed filter, and the M results of an input channel are added up.
 */
export const depthwiseBackpropInput = composition<Inputs, Attrs>(({ dy, filter }, attrs) => {
  const { inputShape } = attrs;
  const axes = convAxes(inputShape, filter.shape, attrs, true);
  if (dy.size === 0 || filter.size === 0) return tf.zeros(inputShape);
  const [height, width, channels, multiplier] = filter.shape;
  const cover = (axis: ConvAxis) => ({
    before: reach(axis) - axis.before,
    size: axis.input + reach(axis),
  });
  const errors = frame(stuff(dy, axes), cover(axes[0]), cover(axes[1]));
  const single: Shape4D = [height, width, channels * multiplier, 1];
  const reversed = tf.reshape(tf.reverse(filter, [0, 1]), single) as tf.Tensor4D;
  const dilations: [number, number] = [axes[0].dilation, axes[1].dilation];
  const dx = tf.depthwiseConv2d(errors, reversed, 1, 'valid', 'NHWC', dilations);
  return multiplier === 1 ? dx : tf.sum(tf.reshape(dx, [...inputShape, multiplier]), 4);
});
