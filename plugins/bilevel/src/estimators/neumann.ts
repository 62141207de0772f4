import { EspalierError, parseOptions } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import type { Estimator } from '../problem.js';
import { dot, mapTensors } from '../tensor-math.js';
import { defineEstimator } from './estimator.js';
import { addScaled, differentiateImplicitly, productsOption, read } from './implicit.js';
import type { Curvature } from './implicit.js';

export const neumannOptions = z.strictObject({
  terms: z.int().positive().default(20),
  rate: z.number().positive().default(0.1),
  damping: z.number().nonnegative().default(0),
  products: productsOption,
});

export interface NeumannOptions {
  /** Terms of the series; default 20. Each but the first takes one product with the curvature. */
  readonly terms?: number;
  /** ρ: the series converges below 2 over the largest curvature; default 0.1. */
  readonly rate?: number;
  /** δ, added to the curvature; default 0. */
  readonly damping?: number;
  /** Products with second derivatives: by differentiating twice (default), or by central differences. */
  readonly products?: 'exact' | 'differences';
}

/**
 * For a converged inner problem: the implicit function theorem at θ_k with the inverse curvature as a
 * series, q = ρ·Σ_j (I − ρ(Cᵀ + δI))^j ∂outer/∂θ, j < terms. It is what unrolling so many steps of plain SGD
 * of rate ρ at θ_k would give, without holding them. The inner steps are taken, but not differentiated.
 * C = ∂g/∂θ of g = ∇_θ inner includes what φ makes of θ (targets of features) with `products: 'exact'`.
 *
 * Source: Lorraine, Vicol & Duvenaud 2020 (arXiv 1911.02590), algorithm 3.
 *
 * @throws EspalierError `options/invalid`; the estimator: `bilevel/diverges`, `bilevel/second-order`,
 * `bilevel/inner-optimizer-moves`, `bilevel/no-gradient`, `bilevel/steps`.
 * @example
 * const { gradients } = neumann({ terms: 50, rate: 0.2 })({ ...problem, steps: 200 });
 */
export function neumann(options: NeumannOptions = {}): Estimator {
  const { products, damping, ...rest } = parseOptions('neumann', neumannOptions, options);
  const sum = (v: NamedTensors, { jacobian }: Curvature) =>
    sumSeries(v, (term) => addScaled(jacobian(term), damping, term), rest);
  return defineEstimator(
    'neumann',
    (problem) => differentiateImplicitly('neumann', problem, products, sum),
    { steps: Infinity },
  );
}

function sumSeries(
  first: NamedTensors,
  multiply: Curvature['jacobian'],
  { terms, rate }: Required<Pick<NeumannOptions, 'terms' | 'rate'>>,
): NamedTensors {
  let [term, sum] = [first, first];
  for (let j = 1; j < terms; j += 1) {
    const before = term;
    [term, sum] = tf.tidy(() => {
      const next = addScaled(before, -rate, multiply(before));
      return [next, addScaled(sum, 1, next)];
    }) as [NamedTensors, NamedTensors];
  }
  if (terms > 1) checkConvergence(read(dot(first, first)), read(dot(term, term)), rate);
  return mapTensors(sum, (each) => tf.mul(each, rate));
}

function checkConvergence(first: number, last: number, rate: number): void {
  if (!(last > first)) return;
  throw new EspalierError('bilevel/diverges', {
    problem: `estimator 'neumann': the terms of the series grow, by ${Math.sqrt(last / first).toPrecision(3)} from the first to the last, so their sum means nothing`,
    received: `rate ${rate}`,
    fix: 'Lower rate below 2 over the largest curvature of the inner loss. Where that does not help, the curvature is negative: take more inner steps, fewer terms, or set damping.',
  });
}
