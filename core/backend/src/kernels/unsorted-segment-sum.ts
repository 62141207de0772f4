import * as tf from '@tensorflow/tfjs-core';
import { composition } from './repair.js';

interface Inputs {
  readonly x: tf.Tensor;
  readonly segmentIds: tf.Tensor;
}

/**
 * The sum of the rows of x that share an id, which is what scattering into zeros does. It is the gradient of a
 * gather, so no embedding trains without it. Ids outside of the range count for nothing, as on the
 * cpu backend: they go to an extra row that is cut off, since the wasm kernel would write them to
 * memory that is not the tensor's.
 */
export const unsortedSegmentSum = composition<Inputs, { readonly numSegments: number }>(
  ({ x, segmentIds }, { numSegments }) => {
    const row = x.shape.slice(segmentIds.rank);
    if (x.size === 0 || numSegments === 0) return tf.zeros([numSegments, ...row], x.dtype);
    const inRange = tf.logicalAnd(tf.greaterEqual(segmentIds, 0), tf.less(segmentIds, numSegments));
    const ids = tf.where(inRange, segmentIds, tf.scalar(numSegments, 'int32'));
    const updates = tf.reshape(x, [segmentIds.size, tf.util.sizeFromShape(row)]);
    const shape: [number, number] = [numSegments + 1, updates.shape[1]!];
    const sums = tf.scatterND(tf.reshape(ids, [-1, 1]), updates, shape);
    return tf.reshape(tf.slice(sums, [0, 0], [numSegments, shape[1]]), [numSegments, ...row]);
  },
);
