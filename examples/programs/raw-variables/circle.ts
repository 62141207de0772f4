import { keyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';

/** Points `[count, 2]`, and whether each is inside a circle, one-hot `[count, 2]`. */
export function insideCircle(name: string, count: number) {
  const draw = keyedRng(1, name);
  const points = Array.from({ length: count }, () => [3 * draw() - 1.5, 3 * draw() - 1.5] as const);
  const inside = points.map(([x, y]) => Number(Math.hypot(x, y) < 1.1));
  return {
    x: tf.tensor2d(points.flat(), [count, 2]),
    y: tf.oneHot(tf.tensor1d(inside, 'int32'), 2),
  };
}
