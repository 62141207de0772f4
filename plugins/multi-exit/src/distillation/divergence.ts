import { crossEntropy, EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { checkShapes, checkTemperature } from './check-pair.js';
import { divergeByClass } from './kl.js';

/**
 * τ²·KL(softmax(teacher/τ) ‖ softmax(student/τ)) of each example (Hinton et al. 2015). The factor τ²
 * keeps the size of the gradient, which shrinks by 1/τ², comparable to that of a hard loss. Both sides
 * have gradients: detach a teacher that must not move with `stopGradient`.
 *
 * @param teacher Logits `[batch, classes]`.
 * @param student Logits `[batch, classes]`.
 * @returns `[batch]`.
 * @throws EspalierError `distillation/shapes`, `distillation/temperature`.
 * @example
 * const term = mean(softDivergence(teacherLogits, studentLogits, 3));
 */
export function softDivergence(
  teacher: Tensor2D,
  student: Tensor2D,
  temperature: number,
): Tensor1D {
  checkShapes('softDivergence', student, teacher);
  checkTemperature(temperature);
  const logQ = tf.logSoftmax(tf.div(teacher, temperature));
  const logP = tf.logSoftmax(tf.div(student, temperature));
  const divergence = tf.sum(divergeByClass(logQ, logP), -1);
  return tf.mul(divergence, temperature ** 2);
}

/**
 * ‖student − teacher‖² of each example, summed over all features (the hint of BYOT, Zhang et al. 2019,
 * eq. 3).
 *
 * @param student Features `[batch, …]`.
 * @param teacher Features of the same shape.
 * @returns `[batch]`.
 * @throws EspalierError `distillation/shapes`.
 * @example
 * const hint = tf.mean(squaredDistance(shallowFeatures, stopGradient(deepFeatures)));
 */
export function squaredDistance(student: Tensor, teacher: Tensor): Tensor1D {
  checkShapes('squaredDistance', student, teacher);
  const square = tf.square(tf.sub(student, teacher));
  return tf.sum(tf.reshape(square, [square.shape[0]!, -1]), 1);
}

/** Options of {@link distillationLoss}. */
export interface DistillationOptions {
  /** Who teaches: logits `[batch, classes]`. */
  readonly teacher: Tensor2D;
  /** Class ids `[batch]` (int32), or distributions `[batch, classes]`. */
  readonly labels: Tensor;
  /** Share α of the soft loss, from 0 to 1; the labels have the rest. Default 0.1. */
  readonly alpha?: number;
  /** Temperature τ; default 3. */
  readonly temperature?: number;
}

/**
 * (1 − α)·CE(student, labels) + α·τ²·KL(teacher ‖ student) of each example: what `exitDistillation` adds up
 * of two terms, for a loop of your own. Knowledge distillation (Hinton et al. 2015) takes it once; for
 * self-distillation (BYOT, Zhang et al. 2019) take it for each exit, with the detached logits of the last.
 *
 * @param student Logits `[batch, classes]`.
 * @returns `[batch]`.
 * @throws EspalierError `distillation/shapes`, `distillation/temperature`, `distillation/alpha`.
 * @example
 * const teacher = stopGradient(logits.at(-1));
 * const losses = logits.slice(0, -1).map((exit) => distillationLoss(exit, { teacher, labels }));
 */
export function distillationLoss(
  student: Tensor2D,
  { teacher, labels, alpha = 0.1, temperature = 3 }: DistillationOptions,
): Tensor1D {
  checkAlpha(alpha);
  const hard = crossEntropy().perExample(student, labels);
  const soft = softDivergence(teacher, student, temperature);
  return tf.add(tf.mul(hard, 1 - alpha), tf.mul(soft, alpha));
}

function checkAlpha(alpha: number): void {
  if (alpha >= 0 && alpha <= 1) return;
  throw new EspalierError('distillation/alpha', {
    problem: 'alpha, the share of the soft loss, must be from 0 to 1',
    received: alpha,
    fix: 'Give 0 for labels alone, 1 for the teacher alone.',
  });
}
