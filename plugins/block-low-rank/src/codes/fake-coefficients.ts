import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { findCodebook } from './codebooks.js';
import type { CodePiece } from './layout.js';
import { nearestValues } from './nearest-values.js';

/** Scales are never smaller. */
const SMALLEST_SCALE = 1e-20;

/**
 * Rounds coefficients to `scale · value` as codes would, differentiably (learned step size quantization, Esser et al. 2020,
 * arXiv 1902.08153, equations 1–3 and 5, with codebooks of the normal distribution in the place of whole numbers). With
 * v = u / scale and values up to ±h: ∂/∂u is 1 for −h < v < h and 0 elsewhere (straight through); ∂/∂scale is value − v
 * there, and the value elsewhere, times `slowness`. The paper's is 1 / √(numbers · highest level), of steps between levels;
 * scales are of the size of the numbers themselves, so that 1 / √numbers keeps their steps in proportion.
 *
 * @param u `[n, directions]`.
 * @param scales `[directions]`; their absolute values count.
 * @param pieces Which of the directions share a code.
 */
export function fakeCoefficients(
  u: Tensor2D,
  scales: Tensor1D,
  pieces: readonly CodePiece[],
  slowness: number,
): Tensor2D {
  const highest = tf.tensor1d(
    pieces.flatMap(({ bits, count }) =>
      Array.from({ length: count }, () => findCodebook(bits, count).reach),
    ),
  );
  const op = tf.customGrad((...args) => {
    const [given, by, save] = args as unknown as [Tensor2D, Tensor1D, tf.GradSaveFunc];
    const value = nearestValues(tf.div(given, by), pieces);
    save([given, by, value, highest]);
    const gradFunc = (dy: Tensor, [before, scale, nearest, most]: Tensor[]) => {
      const v = tf.div(before!, scale!);
      const inside = tf.less(tf.abs(v), most!);
      const slope = tf.where(inside, tf.sub(nearest!, v), nearest!);
      const perScale = tf.sum(tf.mul(tf.mul(dy, slope), slowness), 0);
      return [tf.where(inside, dy, tf.zerosLike(dy)), perScale];
    };
    return { value: tf.mul(value, by), gradFunc };
  });
  return op(u, tf.maximum(tf.abs(scales), SMALLEST_SCALE)) as Tensor2D;
}
