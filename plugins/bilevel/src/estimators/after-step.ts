import { applyUpdates } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import type { Scalar } from '@tensorflow/tfjs-core';
import { differentiateAll } from '../differentiate.js';
import { startInnerOptimizer } from '../inner-step.js';
import type { BilevelProblem } from '../problem.js';
import { dot, sumTensors } from '../tensor-math.js';

/** What follows from one inner step, up to the mixed derivative of the inner loss. */
export interface AfterStep {
  readonly outer: Scalar;
  /** d outer/dφ with the inner gradient held fixed: directly, and through the optimizer. */
  readonly direct: NamedTensors;
  /** d outer/dg for the inner gradient g, by names of θ. */
  readonly byGradient: NamedTensors;
}

/** Takes the step of an inner gradient and differentiates the outer loss where it leads. */
export function afterStep(problem: BilevelProblem, inner: NamedTensors): AfterStep {
  const { theta, phi, outer } = problem;
  const updates = () => {
    const { transform, state } = startInnerOptimizer(problem, phi);
    return transform.update(inner, state, theta, { step: 0 }).updates;
  };
  const after = { ...theta, ...applyUpdates(theta, updates()) };
  const at = differentiateAll(() => outer(after, phi), [after, phi]);
  const [byTheta, direct] = at.gradients as [NamedTensors, NamedTensors];
  const through = differentiateAll(() => dot(updates(), byTheta), [inner, phi]);
  const [byGradient, byOptimizer] = through.gradients as [NamedTensors, NamedTensors];
  return { outer: at.value, direct: sumTensors(direct, byOptimizer), byGradient };
}
