import * as tf from '@tensorflow/tfjs-core';
import { composition } from './repair.js';

interface Inputs {
  readonly x: tf.Tensor;
  readonly alpha: tf.Tensor;
}

const general = composition<Inputs, unknown>(({ x, alpha }) =>
  tf.add(tf.relu(x), tf.mul(alpha, tf.minimum(x, 0))),
);

/** Whether alpha, apart from leading ones, has the shape of x's last axes. */
function alongLastAxes({ x, alpha }: Inputs): boolean {
  const first = alpha.shape.findIndex((n) => n !== 1);
  const shape = first === -1 ? [] : alpha.shape.slice(first);
  return alpha.rank <= x.rank && tf.util.arraysEqual(shape, x.shape.slice(x.rank - shape.length));
}

/**
 * The wasm kernel takes the slopes in order, again and again, whatever alpha's shape: wrong for slopes
 * that are shared along an inner axis, as in `tf.layers.prelu({ sharedAxes: [2] })`.
 */
export const prelu = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) =>
    alongLastAxes(params.inputs as unknown as Inputs) ? original(params) : general(params);
};
