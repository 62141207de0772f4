import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Below it a root counts as this in its derivative. */
const TINY = 1e-18;

/**
 * The square root, whose derivative at 0 is finite: steps are differentiated where a gradient is 0 (dead units), and
 * ∞ · 0 would be NaN.
 */
export function rootOf(x: Tensor): Tensor {
  return tf.engine().state.gradientDepth > 0 ? rootWithFiniteSlope(x) : tf.sqrt(x);
}

const rootWithFiniteSlope = tf.customGrad((x, save) => {
  const root = tf.sqrt(x as Tensor);
  (save as (tensors: Tensor[]) => void)([root]);
  return {
    value: root,
    gradFunc: (dy: Tensor, [saved]: Tensor[]) => tf.div(dy, tf.mul(tf.maximum(saved!, TINY), 2)),
  };
}) as (x: Tensor) => Tensor;
