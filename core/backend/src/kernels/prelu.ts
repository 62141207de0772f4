import * as tf from '@tensorflow/tfjs-core';
import { alongLastAxes } from './last-axes.js';
import { composition } from './repair.js';

interface Inputs {
  readonly x: tf.Tensor;
  readonly alpha: tf.Tensor;
}

const general = composition<Inputs, unknown>(({ x, alpha }) =>
  tf.add(tf.relu(x), tf.mul(alpha, tf.minimum(x, 0))),
);

/**
 * The wasm kernel takes the slopes in order, again and again, whatever alpha's shape: wrong for slopes
 * that are shared along an inner axis, as in `tf.layers.prelu({ sharedAxes: [2] })`.
 */
export const prelu = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const { x, alpha } = params.inputs as unknown as Inputs;
    return alongLastAxes(x, alpha) ? original(params) : general(params);
  };
};
