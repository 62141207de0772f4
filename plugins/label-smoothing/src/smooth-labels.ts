import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/**
 * (1 − ε)·q + ε·u, u uniform over the K classes (Szegedy et al. 2016, section 7).
 *
 * @param labels distributions `[…, classes]`.
 * @param epsilon ε, from 0 to 1.
 */
export function smoothLabels(labels: Tensor, epsilon: number): Tensor {
  const classes = labels.shape[labels.rank - 1]!;
  return tf.add(tf.mul(labels, 1 - epsilon), epsilon / classes);
}
