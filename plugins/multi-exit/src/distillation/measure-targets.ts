import { accuracy } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { checkShapes, checkTemperature } from './check-pair.js';

/** What {@link measureTargets} compares a soft target with. */
export interface MeasureTargetsOptions {
  /** Logits `[batch, classes]` of who learns from it. */
  readonly student: Tensor2D;
  /** Class ids `[batch]` (int32), or distributions `[batch, classes]`. */
  readonly labels: Tensor;
  /** Temperature τ at which the student sees the target. */
  readonly temperature: number;
}

/** What a soft target says, example by example: each `[batch]`, in nats where it is an amount. */
export interface TargetMeasures {
  /** 1 where its most probable class is the label's, else 0. */
  readonly accuracy: Tensor1D;
  /** −Σ q log q at τ. */
  readonly entropy: Tensor1D;
  /** Its largest probability at τ. */
  readonly confidence: Tensor1D;
  /** KL(q ‖ p) at τ, without the factor τ² of the loss: 0 where the student agrees. */
  readonly divergence: Tensor1D;
  /** ln(classes) − entropy, which is KL(q ‖ uniform): 0 where it says nothing. */
  readonly fromUniform: Tensor1D;
}

/**
 * What soft targets q = softmax(teacher/τ) say: whether they are right, how sure they are, and how far they
 * are from the student and from a teacher that knows nothing. `exitDistillation` reports it in every run.
 *
 * @param teacher Logits `[batch, classes]` of the target.
 * @throws EspalierError `distillation/shapes`, `distillation/temperature`.
 * @example
 * const { accuracy, fromUniform } = measureTargets(target, { student, labels, temperature: 3 });
 */
export function measureTargets(
  teacher: Tensor2D,
  { student, labels, temperature }: MeasureTargetsOptions,
): TargetMeasures {
  checkShapes('measureTargets', student, teacher);
  checkTemperature(temperature);
  const logQ = tf.logSoftmax(tf.div(teacher, temperature));
  const logP = tf.logSoftmax(tf.div(student, temperature));
  const q = tf.exp(logQ);
  const entropy = tf.neg(tf.sum(tf.mul(q, logQ), -1)) as Tensor1D;
  return {
    accuracy: accuracy(teacher, labels),
    entropy,
    confidence: tf.max(q, -1),
    divergence: tf.sum(tf.mul(q, tf.sub(logQ, logP)), -1),
    fromUniform: tf.sub(Math.log(teacher.shape[1]), entropy),
  };
}
