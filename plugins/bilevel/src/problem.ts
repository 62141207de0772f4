import type { NamedTensors, GradientTransform } from '@espalier/core';
import type { Scalar } from '@tensorflow/tfjs-core';

/** What φ makes of what the inner loss has; differentiable by both. */
export type PhiFunction = (phi: NamedTensors, inputs: NamedTensors) => NamedTensors;

/**
 * Gives the inner loss what φ makes (soft targets of feature maps, weights of losses); without
 * arguments φ itself.
 */
export type FromPhi = (inputs?: NamedTensors, make?: PhiFunction) => NamedTensors;

/**
 * Find φ so that θ, after steps that lower the inner loss, has a low outer loss:
 * min over φ of outer(θ_k(φ), φ), θ_{j+1} = θ_j + optimizer(∇_θ inner(θ_j, φ)).
 *
 * φ enters the inner loss through `made` alone, whose results ∇_θ inner takes as given: no inner
 * gradient flows through its inputs, as where soft targets are detached.
 *
 * @example
 * // One weight per example, so that noisy labels count less.
 * const problem: BilevelProblem = {
 *   theta: { w: tf.zeros([3]) },
 *   phi: { logits: tf.zeros([20]) },
 *   inner: ({ w }, made) => tf.mean(tf.mul(tf.sigmoid(made().logits!), errors(w!, train))),
 *   outer: ({ w }) => tf.mean(errors(w!, clean)),
 *   optimizer: sgd({ learningRate: 0.1 }),
 * };
 * const { gradients } = unroll(problem);
 */
export interface BilevelProblem {
  /** Inner variables, by name. */
  readonly theta: NamedTensors;
  /** Outer variables, by name. */
  readonly phi: NamedTensors;
  /** The inner loss of step `step`, from 0; the same value whenever it is evaluated. */
  readonly inner: (theta: NamedTensors, made: FromPhi, step: number) => Scalar;
  /** The outer loss; it may depend on φ directly too. */
  readonly outer: (theta: NamedTensors, phi: NamedTensors) => Scalar;
  /** What makes a step of an inner gradient; where φ is in it (a learned rate): a function of φ. */
  readonly optimizer: GradientTransform | ((phi: NamedTensors) => GradientTransform);
  /** Inner steps k; default 1. */
  readonly steps?: number;
}

/** What an estimator finds. The caller owns the tensors. */
export interface Hypergradient {
  /** d outer / dφ, by name; what the outer loss does not depend on is absent. */
  readonly gradients: NamedTensors;
  /** The outer loss after the inner steps. */
  readonly outer: Scalar;
}

/** Estimates the hypergradient of a problem. Synchronous; leaves nothing behind. */
export type Estimator = (problem: BilevelProblem) => Hypergradient;
