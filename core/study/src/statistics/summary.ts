import { tQuantile } from './distributions.js';
import {
  sortAscending,
  checkConfidence,
  checkSample,
  largestMagnitude,
  computeMean,
} from './sample.js';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Mean and spread of a sample, in the unit of its values. */
export interface Summary {
  /** Size of the sample. */
  readonly n: number;
  readonly mean: number;
  /** Standard deviation with n − 1 degrees of freedom; null for one value, which has none. */
  readonly sd: number | null;
  /** Lower end of Student's t interval of the mean; null for one value. */
  readonly low: number | null;
  /** Upper end of Student's t interval of the mean; null for one value. */
  readonly high: number | null;
}

export interface SummaryOptions {
  /** Coverage of the interval, between 0 and 1; default 0.95. */
  readonly confidence?: number;
}

/**
 * Mean, standard deviation and Student's t interval of the mean: mean ± t(n − 1) · sd / √n (Student 1908,
 * "The probable error of a mean"). All in the unit of the values. The order of the values does not
 * matter. Equal values have `sd` 0 and an interval of no width.
 *
 * @throws EspalierError `study/no-values`; `study/not-finite` with the index; `study/confidence`.
 * @example
 * summary([0.91, 0.93, 0.92]); // { n: 3, mean: 0.92, sd: 0.01, low: 0.895…, high: 0.944… }
 */
export function summary(
  values: readonly number[],
  { confidence = 0.95 }: SummaryOptions = {},
): Summary {
  checkSample('values', values);
  checkConfidence(confidence);
  return summarize(sortAscending(values), confidence);
}

/** {@link summary} of numbers that were checked, in ascending order. */
export function summarize(values: readonly number[], confidence: number): Summary {
  const n = values.length;
  const mean = computeMean(values);
  if (n === 1) return { n, mean, sd: null, low: null, high: null };
  const sd = standardDeviation(values.map((value) => value - mean));
  const margin = (-tQuantile((1 - confidence) / 2, n - 1) * sd) / Math.sqrt(n);
  return { n, mean, sd, low: mean - margin, high: mean + margin };
}

/** Of deviations from a mean; scaled, so that squares neither overflow nor vanish. */
function standardDeviation(deviations: readonly number[]): number {
  const scale = largestMagnitude(deviations);
  if (scale === 0) return 0;
  const squares = deviations.reduce((sum, deviation) => sum + (deviation / scale) ** 2, 0);
  return scale * Math.sqrt(squares / (deviations.length - 1));
}
