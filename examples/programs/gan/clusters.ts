import { keyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';

/** Where the points of each class lie. */
export const CENTRES = [
  [1, 0.5],
  [-1, 0.5],
] as const;

/** Points `[n, 2]` around the centres of their classes, and the classes `[n, 1]`. */
export function clusters(step: number, count: number) {
  const draw = keyedRng(1, 'clusters', step);
  const ids = Array.from({ length: count }, () => Math.floor(draw() * CENTRES.length));
  const points = ids.map((id) => CENTRES[id]!.map((at) => at + 0.2 * (draw() - 0.5)));
  return { points: tf.tensor2d(points), classes: tf.tensor2d(ids, [count, 1]) };
}
