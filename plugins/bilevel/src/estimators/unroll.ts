import type { Scalar } from '@tensorflow/tfjs-core';
import { differentiate } from '../differentiate.js';
import type { BilevelProblem, Estimator } from '../problem.js';
import { defineEstimator } from './estimator.js';
import { runInner } from './inner-run.js';
import { withSecondOrder } from './second-order.js';

const FIX = "Use 'jvp', 'finite-difference' or 'first-order', or register a gradient for it.";

/**
 * Exact: differentiates through k inner steps, the optimizer's momentum and the like included. Holds
 * everything that k forward and backward passes make; every op of the inner loss needs a second
 * derivative.
 *
 * @throws EspalierError `bilevel/second-order` naming the op without one, `bilevel/no-gradient`.
 */
export const unroll: Estimator = defineEstimator(
  'unroll',
  (problem) =>
    withSecondOrder('unroll', FIX, () => {
      const { value, gradients } = differentiate(() => outerAfterSteps(problem), problem.phi);
      return { outer: value, gradients };
    }),
  { steps: Infinity },
);

/** The outer loss after the inner steps from φ; differentiable. */
export function outerAfterSteps(problem: BilevelProblem): Scalar {
  return problem.outer(runInner(problem), problem.phi);
}
