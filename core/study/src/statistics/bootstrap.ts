import type { keyedRng } from '@espalier/base';
import { normalCdf, normalQuantile } from './distributions.js';
import { largestMagnitude, computeMean } from './sample.js';
import type { Interval } from './summary.js';

/** Resampled means nearer to the sample's than this share of the largest deviation are ties. */
const TIE = 1e-12;

export interface BootstrapPlan {
  readonly confidence: number;
  readonly resamples: number;
  readonly draw: ReturnType<typeof keyedRng>;
}

/**
 * The bias-corrected and accelerated bootstrap interval (BCa) of the mean: Efron 1987, "Better bootstrap
 * confidence intervals", eq. 2.3 and 6.6, with ties counted half in the bias and quantiles interpolated
 * linearly. `values` are in ascending order. The interval of −x is that of x, mirrored: samples of
 * negative mean are turned before they are drawn from.
 */
export function bcaInterval(values: readonly number[], plan: BootstrapPlan): Interval {
  const mean = computeMean(values);
  if (mean < 0) {
    const mirrored = bcaInterval(values.map((value) => -value).reverse(), plan);
    return { low: -mirrored.high, high: -mirrored.low };
  }
  const deviations = values.map((value) => value - mean);
  const scale = largestMagnitude(deviations);
  if (scale === 0) return { low: mean, high: mean };
  const relative = deviations.map((deviation) => deviation / scale);
  const means = resampleMeans(relative, plan).sort();
  const level = adjustLevels(computeBias(means), computeAcceleration(relative));
  const tail = normalQuantile((1 - plan.confidence) / 2);
  return {
    low: mean + scale * quantile(means, level(tail)),
    high: mean + scale * quantile(means, level(-tail)),
  };
}

function resampleMeans(values: readonly number[], { resamples, draw }: BootstrapPlan) {
  const n = values.length;
  return Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[Math.floor(draw() * n)]!;
    return sum / n;
  });
}

/** z₀ for deviations from the mean, kept finite: at least half a resample counts on either side. */
function computeBias(means: Float64Array): number {
  let below = 0;
  for (const mean of means) below += mean < -TIE ? 1 : mean <= TIE ? 0.5 : 0;
  const kept = Math.min(Math.max(below, 0.5), means.length - 0.5);
  return normalQuantile(kept / means.length);
}

/** From the jackknife, which for the mean has a closed form. */
function computeAcceleration(deviations: readonly number[]): number {
  let [squares, cubes] = [0, 0];
  for (const deviation of deviations) {
    squares += deviation ** 2;
    cubes += deviation ** 3;
  }
  return cubes / (6 * squares ** 1.5);
}

/** The level of the bootstrap distribution to read instead of Φ(z); its end from the pole onwards. */
function adjustLevels(bias: number, acceleration: number): (z: number) => number {
  return (z) => {
    const shifted = bias + z;
    const divisor = Math.max(1 - acceleration * shifted, Number.EPSILON);
    return normalCdf(bias + shifted / divisor);
  };
}

/** Linear between the order statistics (type 7 of Hyndman and Fan 1996). */
function quantile(sorted: Float64Array, level: number): number {
  const position = level * (sorted.length - 1);
  const index = Math.floor(position);
  const [at, next] = [sorted[index]!, sorted[Math.min(index + 1, sorted.length - 1)]!];
  return at + (position - index) * (next - at);
}
