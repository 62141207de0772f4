import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';

/**
 * τ²·KL(softmax(teacher/τ) ‖ softmax(student/τ)) of each example (Hinton et al. 2015). The factor τ²
 * keeps the size of the gradient, which shrinks by 1/τ², comparable to that of a hard loss.
 *
 * @param teacher Logits `[batch, classes]`.
 * @param student Logits `[batch, classes]`.
 * @returns `[batch]`.
 * @example
 * const term = mean(softDivergence(teacherLogits, studentLogits, 3));
 */
export function softDivergence(
  teacher: Tensor2D,
  student: Tensor2D,
  temperature: number,
): Tensor1D {
  const logQ = tf.logSoftmax(tf.div(teacher, temperature));
  const logP = tf.logSoftmax(tf.div(student, temperature));
  const divergence = tf.sum(tf.mul(tf.exp(logQ), tf.sub(logQ, logP)), -1);
  return tf.mul(divergence, temperature ** 2);
}

/**
 * ‖student − teacher‖² of each example, summed over all features (the hint of BYOT, eq. 3).
 *
 * @returns `[batch]`.
 */
export function squaredDistance(student: Tensor, teacher: Tensor): Tensor1D {
  const square = tf.square(tf.sub(student, teacher));
  return tf.sum(tf.reshape(square, [square.shape[0]!, -1]), 1);
}
