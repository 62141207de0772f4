import { EspalierError } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { differentiate, differentiateAll } from '../differentiate.js';
import { innerWith, startInnerOptimizer } from '../inner-step.js';
import type { BilevelProblem, Hypergradient } from '../problem.js';
import { recordCalls } from '../record-calls.js';
import { dot, mapTensors, sumTensors } from '../tensor-math.js';
import { fullInnerGradient, innerGradientGiven, runInnerFreely } from './inner-run.js';
import { centralDifference } from './mixed.js';
import { withSecondOrder } from './second-order.js';

/** How second derivatives of the inner loss are multiplied with a vector. */
export const productsOption = z.enum(['exact', 'differences']).default('exact');

export type Products = z.output<typeof productsOption>;

/** Vectors times the curvature C of the inner loss: what a solver of Cᵀq = v may use. */
export interface Curvature {
  /** ∂²inner/∂θ² · v, symmetric, with what φ makes held as it is. */
  readonly hessian: (v: NamedTensors) => NamedTensors;
  /** (∂g/∂θ)ᵀ · v for g = ∇_θ inner, with what φ makes of θ in it; by differences: {@link hessian}. */
  readonly jacobian: (v: NamedTensors) => NamedTensors;
}

/** Finds q with Cᵀq ≈ v. */
export type Solve = (v: NamedTensors, curvature: Curvature) => NamedTensors;

const FIX = "Set products: 'differences', or use 'jvp' or 'finite-difference'.";

/**
 * The implicit function theorem at θ_k, where the inner steps end, as if it were the minimum of the
 * inner loss: d outer/dφ = ∂outer/∂φ − (∂g/∂φ)ᵀ q with (∂g/∂θ)ᵀ q = ∂outer/∂θ, g = ∇_θ inner.
 */
export function differentiateImplicitly(
  estimator: string,
  problem: BilevelProblem,
  products: Products,
  solve: Solve,
): Hypergradient {
  refuseMovingOptimizer(estimator, problem);
  const theta = runInnerFreely(problem);
  const { phi, outer } = problem;
  const at = differentiateAll(() => outer(theta, phi), [theta, phi]);
  const [byTheta, direct] = at.gradients as [NamedTensors, NamedTensors];
  const { curvature, mixed } = secondDerivatives({ ...problem, theta }, products);
  const byPhi = withSecondOrder(estimator, FIX, () => mixed(solve(byTheta, curvature)));
  return { outer: at.value, gradients: sumTensors(direct, mapTensors(byPhi, tf.neg)) };
}

/** Second derivatives of the inner loss of the last step at the problem's θ. */
function secondDerivatives(problem: BilevelProblem, products: Products) {
  const { theta, phi, steps = 1 } = problem;
  const last = steps - 1;
  const { calls } = recordCalls(problem, (made) => problem.inner(theta, made, last));
  const given = calls.map(({ made }) => made);
  const along = (v: NamedTensors, f: (theta: NamedTensors) => NamedTensors) =>
    centralDifference(theta, v, f);
  if (products === 'differences') {
    const hessian = (v: NamedTensors) =>
      along(v, (at) => innerGradientGiven(problem, at, given, last));
    const remake = () => calls.map(({ inputs, make }) => make(phi, inputs));
    const byPhi = (at: NamedTensors) =>
      differentiate(() => innerWith(problem, at, remake(), last), phi).gradients;
    const mixed = (q: NamedTensors) => along(q, byPhi);
    return { curvature: { hessian, jacobian: hessian }, mixed };
  }
  const gradientOf = (gradient: () => NamedTensors, v: NamedTensors, by: NamedTensors) =>
    differentiate(() => dot(gradient(), v), by).gradients;
  const full = () => fullInnerGradient(problem, theta, last);
  const hessian = (v: NamedTensors) =>
    gradientOf(() => innerGradientGiven(problem, theta, given, last), v, theta);
  const jacobian = (v: NamedTensors) => gradientOf(full, v, theta);
  return {
    curvature: { hessian, jacobian },
    mixed: (q: NamedTensors) => gradientOf(full, q, phi),
  };
}

/** Where the optimizer moves θ without a gradient, its resting place is not the inner loss's minimum. */
function refuseMovingOptimizer(estimator: string, problem: BilevelProblem): void {
  const { transform, state } = startInnerOptimizer(problem, problem.phi);
  const still = mapTensors(problem.theta, tf.zerosLike);
  const { updates } = transform.update(still, state, problem.theta, { step: 0 });
  const moved = read(dot(updates, updates));
  if (!(moved > 0)) return;
  throw new EspalierError('bilevel/inner-optimizer-moves', {
    problem: `estimator '${estimator}': the inner optimizer '${transform.name}' moves θ also where the gradient is zero (weight decay), so θ does not come to rest at a minimum of the inner loss`,
    received: `a step of length ${Math.sqrt(moved)} for a gradient of zero`,
    fix: 'Take the decay out of the inner optimizer and add it to the inner loss as a term, or use an estimator that differentiates the steps.',
  });
}

/** A number that decides how an estimator goes on. */
export function read(scalar: Scalar): number {
  return scalar.dataSync()[0]!;
}

/** a + factor·b. */
export function addScaled(a: NamedTensors, factor: number, b: NamedTensors): NamedTensors {
  return sumTensors(
    a,
    mapTensors(b, (each) => tf.mul(each, factor)),
  );
}
