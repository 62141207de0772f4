import { EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/**
 * (1 − ε)·q + ε·u, u uniform over the K classes (Szegedy et al. 2016, section 7).
 *
 * @param labels distributions `[…, classes]`; of class ids `toDistribution` makes them.
 * @param epsilon ε, from 0 to below 1.
 * @throws EspalierError `label-smoothing/ids`: class ids `[batch]`; `label-smoothing/epsilon`.
 * @example
 * const loss = crossEntropy().perExample(logits, smoothLabels(toDistribution(ids, [null, 10]), 0.1));
 */
export function smoothLabels(labels: Tensor, epsilon: number): Tensor {
  if (labels.rank < 2) {
    throw new EspalierError('label-smoothing/ids', {
      problem: 'labels to smooth must be distributions over classes, [batch, classes]',
      received: labels,
      fix: 'Make distributions of class ids first: toDistribution(ids, [null, classes]).',
    });
  }
  if (!(epsilon >= 0 && epsilon < 1)) {
    throw new EspalierError('label-smoothing/epsilon', {
      problem: 'epsilon must be at least 0 and below 1: with 1 nothing is left of the labels',
      received: epsilon,
      fix: 'The paper takes 0.1.',
    });
  }
  const classes = labels.shape[labels.rank - 1]!;
  return tf.add(tf.mul(labels, 1 - epsilon), epsilon / classes);
}
