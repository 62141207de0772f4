import { differentiate } from '../differentiate.js';
import { innerGradient, innerWith } from '../inner-step.js';
import type { Estimator } from '../problem.js';
import { sumTensors } from '../tensor-math.js';
import { afterStep } from './after-step.js';
import { defineEstimator } from './estimator.js';
import { centralDifference } from './mixed.js';

/**
 * The mixed derivative by central differences of ∇_φ inner at θ ± εw, where w is d outer/dg pulled
 * back through the optimizer (−η∇outer(θ') for plain SGD). For any inner loss and optimizer whose step
 * is differentiable, one step back; no second derivative is taken.
 *
 * Source: DARTS (Liu et al. 2019), eq. 8, with ε = 0.01/‖w‖.
 *
 * @throws EspalierError `bilevel/no-gradient`, `bilevel/steps`.
 */
export const finiteDifference: Estimator = defineEstimator('finite-difference', (problem) => {
  const { theta, phi } = problem;
  const { gradients, calls } = innerGradient(problem);
  const { outer, direct, byGradient } = afterStep(problem, gradients);
  const mixed = centralDifference(theta, byGradient, (at) => {
    const made = () => calls.map(({ inputs, make }) => make(phi, inputs));
    return differentiate(() => innerWith(problem, at, made()), phi).gradients;
  });
  return { outer, gradients: sumTensors(direct, mixed) };
});
