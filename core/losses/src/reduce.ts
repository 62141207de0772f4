import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';

/** How the examples of a batch count; a batch of the trainer has these fields. */
export interface ExampleWeights {
  /** Number of examples. */
  readonly size: number;
  /** `[size]`; absent: each example counts 1. */
  readonly weights?: Tensor;
  /** Sum of the weights; `size` without weights. */
  readonly weightSum: number;
}

/**
 * The mean over examples `[size]` by weight; 0 where every example is masked out.
 *
 * @throws EspalierError `terms/per-example` for values of another shape.
 * @example
 * const loss = weightedMean(perExample, { size: 32, weightSum: 32 });
 */
export function weightedMean(
  values: Tensor1D,
  { size, weights, weightSum }: ExampleWeights,
): Scalar {
  if (values.rank !== 1 || values.size !== size) {
    throw new EspalierError('terms/per-example', {
      problem: `the mean over examples wants one value per example: [${size}]`,
      received: values,
      fix: 'Reduce the other axes first, e.g. tf.mean(values, -1).',
    });
  }
  if (!weights) return tf.mean(values);
  return tf.div(tf.sum(weigh(values, weights)), weightSum || 1);
}

/**
 * Values times weights of the same shape. Where the weight is 0 the result is 0, even if the value is NaN.
 *
 * @example
 * weigh(tf.tensor1d([NaN, 2]), tf.tensor1d([0, 3])); // [0, 6]
 */
export function weigh<T extends Tensor>(values: T, weights: Tensor): T {
  const counts = tf.greater(weights, 0);
  return tf.mul(tf.where(counts, values, tf.zerosLike(values)), weights);
}

/**
 * The mean over all axes but the first, `[batch]`. With `steps` (`[batch, time]`, how each step counts) those
 * of `values` count by them; an example without a step that counts gives 0.
 *
 * @throws EspalierError `loss/steps` for values without those steps.
 * @example
 * const squared = tf.square(tf.sub(output, target)); // [batch, time, units]
 * const loss = meanPerExample(squared, steps); // [batch]
 */
export function meanPerExample(values: Tensor, steps?: Tensor): Tensor1D {
  if (steps) return meanOverSteps(values, steps);
  if (values.rank <= 1) return values as Tensor1D;
  return tf.mean(tf.reshape(values, [values.shape[0]!, -1]), 1);
}

function meanOverSteps(values: Tensor, steps: Tensor): Tensor1D {
  const batch = steps.shape[0]!;
  if (!tf.util.arraysEqual(values.shape.slice(0, steps.rank), steps.shape)) {
    throw new EspalierError('loss/steps', {
      problem: `steps of shape [${steps.shape.join(', ')}] count, but the loss gives no value for each`,
      received: values,
      fix: 'Reduce values of shape [batch, time, …]; weights per step are for outputs with such steps only.',
    });
  }
  const perStep = tf.mean(tf.reshape(values, [batch, steps.size / batch, -1]), -1) as tf.Tensor2D;
  const weights = tf.reshape(steps, [batch, -1]);
  const sums = tf.sum(weights, 1);
  const divisors = tf.add(sums, tf.cast(tf.equal(sums, 0), 'float32'));
  return tf.div(tf.sum(weigh(perStep, weights), 1), divisors);
}

/** tfjs's `epsilon()`. */
const EPSILON = 1e-7;

/** Keeps probabilities away from 0 and 1, as the losses of tfjs do. */
export function clipProbabilities(p: Tensor): Tensor {
  return tf.clipByValue(p, EPSILON, 1 - EPSILON);
}
