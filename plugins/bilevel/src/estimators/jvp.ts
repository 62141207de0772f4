import type { NamedTensors } from '@espalier/core';
import { differentiate } from '../differentiate.js';
import { innerGradient, innerWith } from '../inner-step.js';
import type { Estimator } from '../problem.js';
import { dot, sumTensors } from '../tensor-math.js';
import { afterStep } from './after-step.js';
import { defineEstimator } from './estimator.js';
import { centralDifference } from './mixed.js';

/**
 * The fast path of MetaDistiller: differences of ∂inner/∂z at θ ± εw, where z is what φ makes (soft
 * targets), then one backward pass through the making. As finite differences, but what makes z runs
 * forward and backward once only, and the passes at θ ± εw are differentiated no deeper than z.
 *
 * For a distillation loss λτ²·KL(q ‖ p), ∂inner/∂q at θ is −λτ²·log p(θ) up to what does not depend on
 * θ, which gives the method's (ηλτ²/N)·[log p(θ+εv) − log p(θ−εv)]/(2ε).
 *
 * @throws EspalierError `bilevel/no-gradient`, `bilevel/steps`.
 */
export const jvp: Estimator = defineEstimator('jvp', (problem) => {
  const { theta, phi } = problem;
  const { gradients, calls } = innerGradient(problem);
  const { outer, direct, byGradient } = afterStep(problem, gradients);
  if (calls.length === 0) return { outer, gradients: direct };
  const made = calls.map((call) => call.made);
  const byMade = centralDifference(
    theta,
    byGradient,
    (at) => differentiate(() => innerWith(problem, at, made), flat(made)).gradients,
  );
  const dotWithOutputs = () =>
    dot(flat(calls.map(({ inputs, make }) => make(phi, inputs))), byMade);
  return { outer, gradients: sumTensors(direct, differentiate(dotWithOutputs, phi).gradients) };
});

/** The results of several calls under one name each. */
function flat(calls: readonly NamedTensors[]): NamedTensors {
  return Object.fromEntries(
    calls.flatMap((made, call) =>
      Object.entries(made).map(([name, tensor]) => [`${call} ${name}`, tensor]),
    ),
  );
}
