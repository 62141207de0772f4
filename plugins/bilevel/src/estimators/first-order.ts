import { innerGradient } from '../inner-step.js';
import type { Estimator } from '../problem.js';
import { afterStep } from './after-step.js';
import { defineEstimator } from './estimator.js';

/**
 * Ignores how φ changes the inner gradient: what is left is the outer loss's own dependence on φ
 * after the step, and the optimizer's (exact for a learned rate and one step). Two steps' cost.
 *
 * Source: DARTS (Liu et al. 2019), first-order approximation; theirs does without the inner step.
 *
 * @throws EspalierError `bilevel/no-gradient` where nothing is left, `bilevel/steps`.
 */
export const firstOrder: Estimator = defineEstimator('first-order', (problem) => {
  const { outer, direct } = afterStep(problem, innerGradient(problem).gradients);
  return { outer, gradients: direct };
});
