import { parseOptions } from '@espalier/core';
import { z } from 'zod';
import { ESTIMATORS } from '../estimators/estimator-option.js';
import type { BilevelProblem, Estimator } from '../problem.js';
import { checkRepeatable } from './brute-force.js';
import { measureCost } from './cost.js';
import type { Cost } from './cost.js';
import { disposeFound, referToDifferences, referToEstimator } from './reference.js';
import type { Reference, VerifyReference } from './reference.js';
import { table } from './table.js';

export interface VerifyOptions {
  /** What to check; default: those of this package that differentiate inner steps. */
  readonly estimators?: Readonly<Record<string, Estimator>>;
  /**
   * What to compare with: brute-force differences of the outer loss (default), or an estimator, number by
   * number; `'unroll'` is exact up to rounding.
   */
  readonly reference?: 'differences' | 'unroll' | Estimator;
  /** Random directions in φ; default 48. Where φ has no more numbers than that: each one. */
  readonly directions?: number;
  /** Length of the step in φ; default: of the powers of two, the one of the smallest estimated error. */
  readonly step?: number;
  /** Of the directions; default 0. */
  readonly seed?: number;
  /** Timed runs, of which the median counts; default 5. */
  readonly runs?: number;
}

const estimator = z.custom<Estimator>(
  (value) => typeof value === 'function',
  'must be an estimator',
);

const verifyOptions = z.strictObject({
  estimators: z.record(z.string(), estimator).default(ESTIMATORS),
  reference: z.union([z.enum(['differences', 'unroll']), estimator]).default('differences'),
  directions: z.int().positive().default(48),
  step: z.number().positive().optional(),
  seed: z.int().default(0),
  runs: z.int().positive().default(5),
});

/** How one estimator did. */
export interface VerifiedEstimator extends Cost {
  readonly estimator: string;
  /** Of its derivatives and the reference's; 1 is perfect, 0 also: it found none. */
  readonly cosine: number;
  /** Length of their difference over that of the reference's; 0 is perfect. */
  readonly relativeError: number;
  /** The error is no larger than the reference's own uncertainty: it may be exact. */
  readonly withinUncertainty: boolean;
}

/** What {@link verify} found; `text` is a table of it. */
export interface Verification {
  readonly results: readonly VerifiedEstimator[];
  /** What the estimators were compared with, and how certain that is. */
  readonly reference: VerifyReference;
  /** Estimators that do not apply to this problem, and why. */
  readonly failed: Readonly<Record<string, string>>;
  readonly text: string;
}

/**
 * Runs estimators on a problem of one's own against brute-force finite differences of the outer loss
 * after the inner steps, along random directions in φ, whose own uncertainty it estimates; or against an
 * estimator. The problem must be deterministic.
 *
 * @throws EspalierError `bilevel/no-gradient` where the reference finds none; `bilevel/not-finite`,
 * `bilevel/not-repeatable`; `options/invalid`.
 * @example
 * const { text } = await verify(problem);
 * console.log(text);
 */
export async function verify(
  problem: BilevelProblem,
  options: VerifyOptions = {},
): Promise<Verification> {
  const parsed = parseOptions('verify', verifyOptions, options);
  const { estimators, runs } = parsed;
  await checkRepeatable(problem);
  const reference = await refer(problem, parsed);
  const results: VerifiedEstimator[] = [];
  const failed: Record<string, string> = {};
  try {
    for (const [name, estimate] of Object.entries(estimators)) {
      try {
        const agreement = await compare(problem, estimate, reference);
        const cost = await measureCost(() => estimate(problem), runs);
        results.push({ estimator: name, ...agreement, ...cost });
      } catch (error) {
        failed[name] = error instanceof Error ? error.message : String(error);
      }
    }
  } finally {
    reference.dispose();
  }
  const { description } = reference;
  return { results, reference: description, failed, text: table(results, description, failed) };
}

function refer(
  problem: BilevelProblem,
  options: z.output<typeof verifyOptions>,
): Promise<Reference> {
  const { reference } = options;
  if (reference === 'differences') return referToDifferences(problem, options);
  const estimate = reference === 'unroll' ? ESTIMATORS.unroll : reference;
  return referToEstimator(problem, estimate);
}

async function compare(
  problem: BilevelProblem,
  estimate: Estimator,
  { expected, project, description: { uncertainty = 0 } }: Reference,
) {
  const made = estimate(problem);
  const found = await project(made.gradients);
  disposeFound(made);
  const product = found.reduce((sum, each, i) => sum + each * expected[i]!, 0);
  const gap = Math.hypot(...found.map((each, i) => each - expected[i]!));
  const [a, b] = [Math.hypot(...found), Math.hypot(...expected)];
  const relativeError = gap / b;
  return {
    cosine: a > 0 ? product / (a * b) : 0,
    relativeError,
    withinUncertainty: relativeError <= uncertainty,
  };
}
