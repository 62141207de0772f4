import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { EspalierError } from '@espalier/errors';

/** How the examples of a batch count; a batch of the trainer has these fields. */
export interface ExampleWeights {
  readonly size: number;
  /** `[size]`; absent: each example counts 1. */
  readonly weights?: Tensor;
  readonly weightSum: number;
}

/**
 * The mean over examples `[size]` by weight; 0 where every example is masked out.
 *
 * @throws EspalierError `ledger/per-example` for values of another shape.
 */
export function weightedMean(
  values: Tensor1D,
  { size, weights, weightSum }: ExampleWeights,
): Scalar {
  if (values.rank !== 1 || values.size !== size) {
    throw new EspalierError('ledger/per-example', {
      problem: `the mean over examples wants one value per example: [${size}]`,
      received: values,
      fix: 'Reduce the other axes first, e.g. tf.mean(values, -1).',
    });
  }
  if (!weights) return tf.mean(values);
  return tf.div(tf.sum(weigh(values, weights)), weightSum || 1);
}

/** Values by weight; where that is 0 it is 0, whatever the value. */
export function weigh<T extends Tensor>(values: T, weights: Tensor): T {
  const counts = tf.greater(weights, 0);
  return tf.mul(tf.where(counts, values, tf.zerosLike(values)), weights);
}

/** The mean over all axes but the first. */
export function meanPerExample(values: Tensor): Tensor1D {
  if (values.rank <= 1) return values as Tensor1D;
  return tf.mean(tf.reshape(values, [values.shape[0]!, -1]), 1);
}

/** tfjs's `epsilon()`. */
const EPSILON = 1e-7;

/** Keeps probabilities away from 0 and 1, as the losses of tfjs do. */
export function clipProbabilities(p: Tensor): Tensor {
  return tf.clipByValue(p, EPSILON, 1 - EPSILON);
}
