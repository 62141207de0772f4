import { EspalierError, parseOptions } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import type { Estimator } from '../problem.js';
import { dot, mapTensors } from '../tensor-math.js';
import { defineEstimator } from './estimator.js';
import { addScaled, differentiateImplicitly, productsOption, read } from './implicit.js';
import type { Curvature } from './implicit.js';

export const conjugateGradientOptions = z.strictObject({
  iterations: z.int().positive().default(20),
  tolerance: z.number().nonnegative().default(1e-4),
  damping: z.number().nonnegative().default(0),
  products: productsOption,
});

export interface ConjugateGradientOptions {
  /** The most iterations, of one product with the curvature each; default 20. */
  readonly iterations?: number;
  /** It stops where the residual's length is at most so much of ‖∂outer/∂θ‖; default 1e-4. */
  readonly tolerance?: number;
  /** δ, added to the curvature: solves (H + δI) q = ∂outer/∂θ; default 0. */
  readonly damping?: number;
  /** Products with second derivatives: by differentiating twice (default), or by central differences. */
  readonly products?: 'exact' | 'differences';
}

/**
 * For a converged inner problem: the implicit function theorem at θ_k, with (H + δI) q = ∂outer/∂θ
 * solved by conjugate gradient. H = ∂²inner/∂θ² must be positive definite: a direction of negative
 * curvature is refused, by its size. H holds what φ makes as it is, also where φ makes it of θ (targets
 * of features); `neumann` does not. The inner steps are taken, but not differentiated.
 *
 * Source: Pedregosa 2016 (arXiv 1602.02355); Rajeswaran et al. 2019 (arXiv 1909.04630) with
 * damping.
 *
 * @throws EspalierError `options/invalid`; the estimator: `bilevel/negative-curvature`,
 * `bilevel/second-order`, `bilevel/inner-optimizer-moves`, `bilevel/no-gradient`, `bilevel/steps`.
 * @example
 * const { gradients } = conjugateGradient({ damping: 0.1 })({ ...problem, steps: 200 });
 */
export function conjugateGradient(options: ConjugateGradientOptions = {}): Estimator {
  const { products, ...rest } = parseOptions(
    'conjugateGradient',
    conjugateGradientOptions,
    options,
  );
  const solve = (v: NamedTensors, { hessian }: Curvature) => solveDamped(v, hessian, rest);
  return defineEstimator(
    'conjugate-gradient',
    (problem) => differentiateImplicitly('conjugate-gradient', problem, products, solve),
    { steps: Infinity },
  );
}

type Limits = Pick<
  z.output<typeof conjugateGradientOptions>,
  'iterations' | 'tolerance' | 'damping'
>;

/** Where conjugate gradient stands: the solution so far, its residual, the next direction. */
interface Iterate {
  readonly solution: NamedTensors;
  readonly residual: NamedTensors;
  readonly direction: NamedTensors;
  /** ‖residual‖². */
  readonly square: number;
}

function solveDamped(
  v: NamedTensors,
  hessian: Curvature['hessian'],
  { iterations, tolerance, damping }: Limits,
): NamedTensors {
  const multiply = (p: NamedTensors) => addScaled(hessian(p), damping, p);
  const square = read(dot(v, v));
  let at: Iterate = { solution: mapTensors(v, tf.zerosLike), residual: v, direction: v, square };
  for (let i = 0; i < iterations && at.square > tolerance ** 2 * square; i += 1) {
    const before = at;
    at = tf.tidy(() => iterate(before, multiply, damping) as never);
  }
  return at.solution;
}

function iterate(
  { solution, residual, direction, square }: Iterate,
  multiply: Curvature['hessian'],
  damping: number,
): Iterate {
  const product = multiply(direction);
  const curvature = read(dot(direction, product));
  if (curvature <= 0) throw negative(curvature / read(dot(direction, direction)), damping);
  const length = square / curvature;
  const rest = addScaled(residual, -length, product);
  const restSquare = read(dot(rest, rest));
  return {
    solution: addScaled(solution, length, direction),
    residual: rest,
    direction: addScaled(rest, restSquare / square, direction),
    square: restSquare,
  };
}

function negative(curvature: number, damping: number): EspalierError {
  return new EspalierError('bilevel/negative-curvature', {
    problem: `estimator 'conjugate-gradient': the inner loss curves downwards (${curvature.toPrecision(3)} along a direction of length 1, damping included), so θ is at no minimum and the system has no solution that means anything`,
    received: `damping ${damping}`,
    fix: `Take more inner steps, or set damping above ${(damping - curvature).toPrecision(3)}; 'neumann' and the estimators that differentiate steps do without.`,
  });
}
