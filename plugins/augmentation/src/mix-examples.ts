import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { checkOnePerExample } from './pixels.js';

/**
 * share · x + (1 − share) · x of the partner, example by example. What is its own partner keeps its
 * bits.
 *
 * @param x `[batch, …]`, float32.
 * @param partners the example that each one is mixed with.
 * @param shares what each keeps of itself, from 0 to 1.
 * @throws EspalierError `augmentation/length`: not one partner and one share for each example.
 * @example
 * const mixed = mixExamples(images, [1, 0], [0.7, 0.7]);
 */
export function mixExamples<T extends Tensor>(
  x: T,
  partners: ArrayLike<number>,
  shares: readonly number[],
): T {
  checkOnePerExample('mixExamples', x, { partners, shares });
  return tf.tidy(() => {
    const others = tf.gather(x, tf.tensor1d(Int32Array.from(partners), 'int32'));
    const given = tf.tensor1d(shares.map((share) => 1 - share));
    const rest = tf.reshape(given, [-1, ...x.shape.slice(1).fill(1)]);
    return tf.add(x, tf.mul(rest, tf.sub(others, x)));
  });
}
