import { z } from 'zod';
import { levelRange, roundHalfEven } from './levels.js';
import type { Scheme } from './levels.js';
import { BITS } from './packing.js';
import type { Bits } from './packing.js';

/**
 * How much of a group's numbers the levels span: all of them, the middle p percent, or what gives the
 * least squared error.
 */
export const range = z.union([
  z.enum(['min-max', 'mse']),
  z.strictObject({ percentile: z.number().gt(0).max(100) }),
]);

/** How much of a group's numbers the levels span. */
export type Range = z.output<typeof range>;

/** Value of a level: `offset + scale · level`; both are float32 numbers. */
export interface Affine {
  readonly scale: number;
  readonly offset: number;
}

/** The numbers of a group, and how much the error of each matters; without weights all alike. */
export interface Group {
  readonly values: Float32Array;
  readonly weights?: Float32Array;
}

/** Chooses scale and offset of one group. */
export function chooseAffine(group: Group, bits: Bits, scheme: Scheme, how: Range): Affine {
  if (how === 'mse') return leastSquares(group, bits, scheme);
  const [low, high] =
    how === 'min-max' ? extremes(group.values) : middle(group.values, scheme, how.percentile);
  return spanning(low, high, levelRange(bits, scheme), scheme);
}

type Levels = readonly [lowest: number, highest: number];

/** The smallest levels that reach from `low` to `high`. */
function spanning(low: number, high: number, levels: Levels, scheme: Scheme): Affine {
  const [lowest, highest] = levels;
  if (scheme === 'symmetric') {
    return { scale: Math.fround(Math.max(high / highest, low / lowest, 0)), offset: 0 };
  }
  return { scale: Math.fround((high - low) / highest), offset: Math.fround(low) };
}

function extremes(values: Float32Array): readonly [low: number, high: number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function middle(
  values: Float32Array,
  scheme: Scheme,
  percentile: number,
): readonly [low: number, high: number] {
  if (scheme === 'symmetric') {
    const high = quantile(values.map(Math.abs).sort(), percentile / 100);
    return [-high, high];
  }
  const sorted = values.slice().sort();
  const tail = (100 - percentile) / 200;
  return [quantile(sorted, tail), quantile(sorted, 1 - tail)];
}

/** Of sorted values, with linear interpolation. */
function quantile(sorted: Float32Array, at: number): number {
  const place = at * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  return below + (sorted[Math.ceil(place)]! - below) * (place % 1);
}

/** How far each next candidate narrows the range, and how many there are: down to 0.12. */
const NARROWER = 0.92;
const CANDIDATES = 26;

/**
 * The least squared error over a grid of ranges. The grid is the same for all bits, and more bits have
 * every level of fewer ones beside new ones, so the error never grows with the bits; nor is it ever
 * above that of min-max.
 */
function leastSquares(given: Group, bits: Bits, scheme: Scheme): Affine {
  const levels = levelRange(bits, scheme);
  const [low, high] = extremes(given.values);
  const centre = scheme === 'symmetric' ? 0 : (low + high) / 2;
  const group = outermostFirst(given);
  let best = spanning(low, high, levels, scheme);
  let least = squaredError(group, best, levels, Infinity);
  // Its own bits first: the others' candidates are then given up after a few numbers.
  for (const of of [bits, ...BITS.filter((each) => each !== bits)]) {
    const spanned = levelRange(of, scheme);
    for (let i = 0, share = 1; i < CANDIDATES; i++, share *= NARROWER) {
      const [from, to] = [centre + (low - centre) * share, centre + (high - centre) * share];
      const candidate = spanning(from, to, spanned, scheme);
      const error = squaredError(group, candidate, levels, least);
      if (error < least) [best, least] = [candidate, error];
    }
  }
  return best;
}

/** Groups of more numbers are not sorted. */
const SORTED = 2 ** 16;

/** The least and the greatest number, then the next ones: a range too narrow shows at once. */
function outermostFirst({ values, weights }: Group): Group {
  if (weights || values.length > SORTED) return { values, ...(weights && { weights }) };
  const sorted = values.slice().sort();
  const ordered = new Float32Array(sorted.length);
  for (let i = 0, low = 0, high = sorted.length - 1; low <= high; i++) {
    ordered[i] = sorted[i % 2 === 0 ? low++ : high--]!;
  }
  return { values: ordered };
}

/** After so many numbers the sum is compared with the least one so far. */
const STRIDE = 16;

/** Weighted squared error of rounding to the levels; gives up beyond `limit`. */
function squaredError(
  { values, weights }: Group,
  { scale, offset }: Affine,
  [lowest, highest]: Levels,
  limit: number,
): number {
  const inverse = scale > 0 ? 1 / scale : 0;
  let sum = 0;
  for (let begin = 0; begin < values.length && sum < limit; begin += STRIDE) {
    const end = Math.min(begin + STRIDE, values.length);
    for (let i = begin; i < end; i++) {
      const shifted = values[i]! - offset;
      const level = Math.min(Math.max(roundHalfEven(shifted * inverse), lowest), highest);
      const error = shifted - level * scale;
      sum += weights ? weights[i]! * error * error : error * error;
    }
  }
  return sum;
}
