import * as tf from '@tensorflow/tfjs-core';
import { alongLastAxes } from './last-axes.js';
import { composition } from './repair.js';

interface Inputs {
  readonly x: tf.Tensor;
  readonly mean: tf.Tensor;
  readonly variance: tf.Tensor;
  readonly scale?: tf.Tensor;
  readonly offset?: tf.Tensor;
}

const general = composition<Inputs, { readonly varianceEpsilon: number }>(
  ({ x, mean, variance, scale, offset }, { varianceEpsilon }) => {
    const inverse = tf.rsqrt(tf.add(variance, varianceEpsilon));
    const normed = tf.mul(tf.sub(x, mean), scale ? tf.mul(inverse, scale) : inverse);
    return offset ? tf.add(normed, offset) : normed;
  },
);

/**
 * The kernels take the statistics in order, again and again, whatever their shape: wrong along any axis
 * but the last, as in `tf.layers.batchNormalization({ axis: 1 })`.
 */
export const batchNorm = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const { x, ...rest } = params.inputs as unknown as Inputs;
    const given = Object.values(rest).filter((each) => each !== undefined);
    return given.every((each) => alongLastAxes(x, each)) ? original(params) : general(params);
  };
};
