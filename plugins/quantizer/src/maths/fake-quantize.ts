import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { levelRange } from './levels.js';
import type { Bits } from './packing.js';

/** Steps are never smaller; a group of zeros keeps a gradient and no NaN. */
export const SMALLEST_STEP = 1e-20;

/**
 * Rounds to `step · level` as symmetric codes of these bits would, differentiably (learned step size
 * quantization, Esser et al. 2020, arXiv 1902.08153, equations 1–3 and 5). With v = x / step and
 * levels from l to h: ∂/∂x is 1 for l < v < h and 0 elsewhere (straight through); ∂/∂step is
 * round(v) − v there, and l or h elsewhere, times `stepGradientScale`.
 *
 * @param x Any shape.
 * @param step Of the rank of x, positive, each dimension that of x or 1.
 * @returns The shape of x.
 */
export function fakeQuantize(x: Tensor, step: Tensor, bits: Bits, stepGradientScale = 1): Tensor {
  const [low, high] = levelRange(bits, 'symmetric');
  const op = tf.customGrad((...args) => {
    const [given, by, save] = args as [Tensor, Tensor, tf.GradSaveFunc];
    save([given, by]);
    const level = tf.clipByValue(tf.round(tf.div(given, by)), low, high);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => {
      const v = tf.div(saved[0]!, saved[1]!);
      const inside = tf.logicalAnd(tf.greater(v, low), tf.less(v, high));
      const nearest = tf.clipByValue(tf.round(v), low, high);
      const slope = tf.where(inside, tf.sub(nearest, v), nearest);
      const perNumber = tf.mul(dy, tf.mul(slope, stepGradientScale));
      return [tf.where(inside, dy, tf.zerosLike(dy)), sumTo(perNumber, saved[1]!.shape)];
    };
    return { value: tf.mul(level, by), gradFunc };
  });
  return op(x, step);
}

/** Sums over the dimensions in which a tensor was broadcast. */
function sumTo(x: Tensor, shape: readonly number[]): Tensor {
  const axes = shape.flatMap((length, axis) => (length < x.shape[axis]! ? [axis] : []));
  return axes.length > 0 ? tf.sum(x, axes, true) : x;
}
