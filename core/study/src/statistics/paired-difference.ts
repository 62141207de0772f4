import { EspalierError, keyedRng } from '@espalier/base';
import { bcaInterval } from './bootstrap.js';
import { tCdf } from './distributions.js';
import {
  sortAscending,
  checkConfidence,
  checkSample,
  largestMagnitude,
  computeMean,
} from './sample.js';
import { summarize } from './summary.js';
import type { Interval, Summary, SummaryOptions } from './summary.js';

/** Fewer leave too little in the tails of a 95 % interval. */
const FEWEST_RESAMPLES = 1000;

/** Differences within this share of the largest value are what rounding leaves of equal ones. */
const ROUNDING = 4 * Number.EPSILON;

export interface PairedDifferenceOptions extends SummaryOptions {
  /** Seed of the bootstrap's draws; default 0. Equal seeds give equal intervals. */
  readonly seed?: number | string;
  /** Bootstrap samples, at least 1000; default 10 000. */
  readonly resamples?: number;
}

/** The differences of a paired sample, in the unit of its values; those of one pair have no spread. */
export interface PairedDifference extends Summary {
  /** Student's t with n − 1 degrees of freedom; infinite for equal differences; null for one pair. */
  readonly t: number | null;
  /** Two-sided p of a mean difference of 0; null for one pair. */
  readonly p: number | null;
  /** BCa bootstrap interval of the mean difference; null for one pair. */
  readonly bootstrap: Interval | null;
}

/**
 * The differences values[i] − base[i] of runs that were paired, as by their seeds: mean and standard
 * deviation, Student's t interval and two-sided p of the paired t test (Student 1908), and the BCa
 * bootstrap interval of the mean (Efron 1987). The order of the pairs does not matter; exchanging
 * `values` and `base` turns every sign and nothing else.
 *
 * Both intervals rest on the pairs being independent draws. With few pairs, and ten are few, the bootstrap
 * interval is too narrow (with two, it is the two differences): t's is then the one to report.
 *
 * Differences that are equal but for rounding have `sd` 0 and intervals of no width: p is then 1 if
 * they are 0 (t 0), else 0 (t ±∞). This is the limit of the t test, not evidence: runs that do not
 * vary with their seed say nothing about other seeds.
 *
 * @throws EspalierError `study/pairs` if the lengths differ; `study/no-values`; `study/not-finite` with
 * name and index; `study/confidence`; `study/resamples`.
 * @example
 * const difference = pairedDifference([0.92, 0.94, 0.93], [0.9, 0.91, 0.92], { seed: 1 });
 * // { n: 3, mean: 0.02, sd: 0.01, low: -0.004…, high: 0.044…, t: 3.46…, p: 0.07…, bootstrap: { … } }
 */
export function pairedDifference(
  values: readonly number[],
  base: readonly number[],
  { seed = 0, confidence = 0.95, resamples = 10_000 }: PairedDifferenceOptions = {},
): PairedDifference {
  checkPairs(values, base);
  checkConfidence(confidence);
  checkResamples(resamples);
  const differences = computeDifferences(values, base);
  const summary = summarize(differences, confidence);
  if (summary.sd === null) return { ...summary, t: null, p: null, bootstrap: null };
  const t = summary.mean === 0 ? 0 : summary.mean / (summary.sd / Math.sqrt(summary.n));
  const p = 2 * tCdf(-Math.abs(t), summary.n - 1);
  const draw = keyedRng(seed, 'study', 'bootstrap');
  const bootstrap = bcaInterval(differences, { confidence, resamples, draw });
  return { ...summary, t, p, bootstrap };
}

/** In ascending order. Where only rounding makes them differ, all are their mean, or 0. */
function computeDifferences(values: readonly number[], base: readonly number[]): readonly number[] {
  const differences = sortAscending(values.map((value, i) => value - base[i]!));
  const rounding = ROUNDING * largestMagnitude([...values, ...base]);
  const mean = computeMean(differences);
  if (differences.some((difference) => Math.abs(difference - mean) > rounding)) return differences;
  return differences.map(() => (Math.abs(mean) > rounding ? mean : 0));
}

function checkPairs(values: readonly number[], base: readonly number[]): void {
  checkSample('values', values);
  checkSample('base', base);
  if (values.length === base.length) return;
  throw new EspalierError('study/pairs', {
    problem: 'values and base must have the same length',
    received: [values.length, base.length],
    fix: 'Pass the runs of both in the order of their seeds, and only the seeds that both have.',
  });
}

function checkResamples(resamples: number): void {
  if (Number.isSafeInteger(resamples) && resamples >= FEWEST_RESAMPLES) return;
  throw new EspalierError('study/resamples', {
    problem: `resamples must be a whole number of at least ${FEWEST_RESAMPLES}`,
    received: resamples,
    fix: 'Pass { resamples: 10_000 }.',
  });
}
