import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';

/** Where points lie. */
export interface Range {
  /** The mean of each coordinate. */
  readonly centre: Float32Array;
  /** One over the largest magnitude. */
  readonly scale: number;
}

/** What keeps the products of float32 exact enough, wherever the points lie. */
export function findRange(data: Float32Array, width: number): Range {
  const sums = new Float64Array(width);
  let largest = 0;
  for (let at = 0; at < data.length; at += width) {
    for (let j = 0; j < width; j++) {
      sums[j]! += data[at + j]!;
      largest = Math.max(largest, Math.abs(data[at + j]!));
    }
  }
  const centre = Float32Array.from(sums, (sum) => (sum * width) / data.length);
  return { centre, scale: largest > 0 ? 1 / largest : 1 };
}

/** Points `[count, width]` on the backend, with their centre at 0 and no number far above 1. */
export function shift(
  data: Float32Array,
  width: number,
  centre: Float32Array,
  scale: number,
): Tensor2D {
  return tf.mul(tf.sub(tf.tensor2d(data, [data.length / width, width]), centre), scale);
}
