import { EspalierError, tidyExcept } from '@espalier/core';
import type { BilevelProblem, Estimator, Hypergradient } from '../problem.js';

/** An estimator by name that frees its intermediates and says where it does not apply. */
export function defineEstimator(
  name: string,
  estimate: (problem: BilevelProblem) => Hypergradient,
  { steps = 1 } = {},
): Estimator {
  return (problem) => {
    checkSteps(problem.steps ?? 1);
    if ((problem.steps ?? 1) > steps) throw stepsError(name, problem.steps!);
    const { gradients, outer } = tidyExcept(listTensors, () => estimate(problem));
    if (Object.keys(gradients).length > 0) return { gradients, outer };
    outer.dispose();
    throw new EspalierError('bilevel/no-gradient', {
      problem: `estimator '${name}': the outer loss does not depend on any outer variable`,
      received: Object.keys(problem.phi),
      fix:
        name === 'first-order'
          ? "It sees no way through the inner gradient: use 'jvp', 'finite-difference' or 'unroll'."
          : 'Check that the inner loss uses them, and that the outer loss uses what the inner step moves.',
    });
  };
}

function listTensors({ gradients, outer }: Hypergradient) {
  return [outer, ...Object.values(gradients)];
}

function checkSteps(steps: number): void {
  if (Number.isInteger(steps) && steps > 0) return;
  throw new EspalierError('bilevel/steps', {
    problem: 'the number of inner steps must be a whole number of 1 or more',
    received: steps,
    fix: 'Leave steps out for one.',
  });
}

function stepsError(name: string, steps: number): EspalierError {
  return new EspalierError('bilevel/steps', {
    problem: `estimator '${name}' looks one inner step back`,
    received: steps,
    fix: "Set steps: 1, or use 'unroll', or 'neumann' or 'conjugate-gradient' where the inner problem converges.",
  });
}
