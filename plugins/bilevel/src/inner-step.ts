import { stopGradient } from '@espalier/core';
import type { NamedTensors, OptimizerState, GradientTransform } from '@espalier/core';
import type { Scalar } from '@tensorflow/tfjs-core';
import { differentiate } from './differentiate.js';
import type { BilevelProblem } from './problem.js';
import { recordCalls } from './record-calls.js';
import type { Call } from './record-calls.js';

/** ∇_θ of an inner loss, and the calls of `made` in it. */
export interface InnerGradient {
  readonly gradients: NamedTensors;
  readonly calls: readonly Call[];
}

/** The inner loss with given things in place of what φ makes, in the order of the calls. */
export function innerWith(
  { inner }: BilevelProblem,
  theta: NamedTensors,
  made: readonly NamedTensors[],
  step = 0,
): Scalar {
  let call = 0;
  return inner(theta, () => made[call++]!, step);
}

/** ∇_θ of the inner loss at the problem's own θ and φ: one forward and one backward pass. */
export function innerGradient(problem: BilevelProblem): InnerGradient {
  const { theta, inner } = problem;
  const { result, calls } = recordCalls(
    problem,
    (made) => differentiate(() => inner(theta, made, 0), theta),
    stopGradient,
  );
  return { gradients: result.gradients, calls };
}

/** A transform with its state at one point of an inner run. */
export interface InnerOptimizer {
  readonly transform: GradientTransform;
  readonly state: OptimizerState;
}

/** The optimizer of the inner run before its first step. */
export function startInnerOptimizer(
  { optimizer, theta }: BilevelProblem,
  phi: NamedTensors,
): InnerOptimizer {
  const transform = typeof optimizer === 'function' ? optimizer(phi) : optimizer;
  return { transform, state: transform.init(theta) };
}
