import { toDistribution } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { checkShapes, checkTemperature } from './check-pair.js';
import { divergeByClass } from './kl.js';

/** Options of {@link decoupledDivergence}. */
export interface DecoupledOptions {
  /** Class ids `[batch]` (int32); of distributions `[batch, classes]` the most probable class. */
  readonly labels: Tensor;
  readonly temperature: number;
  /** Weight of the divergence between «the label's class» and «another one»; default 1. */
  readonly target?: number;
  /** Weight of the divergence among the other classes; default 8. */
  readonly nonTarget?: number;
}

/**
 * τ²·(target·TCKD + nonTarget·NCKD) of each example (decoupled knowledge distillation, Zhao et al. 2022,
 * eq. 7): TCKD is the divergence of the two probabilities «the label's class» and «another one», NCKD that
 * of the distributions over the other classes. The usual divergence is TCKD + (1 − q_label)·NCKD, so a
 * teacher that is sure hides what it knows about the other classes; here it does not.
 *
 * @param teacher Logits `[batch, classes]`.
 * @param student Logits `[batch, classes]`.
 * @returns `[batch]`; both sides have gradients.
 * @throws EspalierError `distillation/shapes`, `distillation/temperature`.
 * @example
 * const term = mean(decoupledDivergence(teacher, student, { labels, temperature: 4 }));
 */
export function decoupledDivergence(
  teacher: Tensor2D,
  student: Tensor2D,
  { labels, temperature, target = 1, nonTarget = 8 }: DecoupledOptions,
): Tensor1D {
  checkShapes('decoupledDivergence', student, teacher);
  checkTemperature(temperature);
  const others = tf.sub(1, markLabels(labels, student)) as Tensor2D;
  const q = decouple(tf.div(teacher, temperature), others);
  const p = decouple(tf.div(student, temperature), others);
  const between = tf.add(
    divergeByClass(q.logLabel, p.logLabel),
    divergeByClass(q.logRest, p.logRest),
  ) as Tensor1D;
  const among = tf.sum(tf.mul(others, divergeByClass(q.logOthers, p.logOthers)), -1) as Tensor1D;
  const sum = tf.add(tf.mul(between, target), tf.mul(among, nonTarget));
  return tf.mul(sum, temperature ** 2);
}

/** `[batch, classes]`, 1 at the label's class. */
function markLabels(labels: Tensor, like: Tensor2D): Tensor {
  const ids = labels.rank === like.rank ? tf.argMax(labels, -1) : labels;
  return toDistribution(ids, like);
}

/** So far below all logits that its probability is 0, and small enough to be added to one. */
const NEVER = -1e9;

/** Log-probabilities of the label's class and of the rest `[batch]`, and within the rest `[batch, classes]`. */
function decouple(logits: Tensor, others: Tensor2D) {
  const isLabel = tf.sub(1, others);
  const log = tf.logSoftmax(logits);
  const logOthers = tf.logSoftmax(tf.add(logits, tf.mul(isLabel, NEVER)));
  // For each other class k: log p_k − log p(k | not the label) = log p(not the label).
  const difference = tf.sum(tf.mul(others, tf.sub(log, logOthers)), -1);
  const logRest = tf.div(difference, tf.sum(others, -1));
  return { logLabel: tf.sum(tf.mul(isLabel, log), -1), logRest, logOthers };
}
