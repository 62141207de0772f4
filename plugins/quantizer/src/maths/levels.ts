import type { Bits } from './packing.js';

/** Whether zero is a level, or the levels begin at an offset. */
export type Scheme = 'symmetric' | 'asymmetric';

/** Least and greatest whole number that a code stands for. */
export function levelRange(bits: Bits, scheme: Scheme): readonly [low: number, high: number] {
  return scheme === 'symmetric' ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
}

/** What each code of a uniform storage stands for, before scale and offset: `[2^bits]`. */
export function uniformLevels(bits: Bits, scheme: Scheme): Float32Array {
  const [low] = levelRange(bits, scheme);
  return Float32Array.from({ length: 2 ** bits }, (_, code) => low + code);
}

/**
 * The 4-bit levels of NormalFloat: quantiles of the normal distribution scaled to [−1, 1], with an
 * exact zero (QLoRA, Dettmers et al. 2023, arXiv 2305.14314, appendix E).
 */
export const NF4_LEVELS = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);

/** From here on float64 numbers are whole: adding it rounds. */
const WHOLE = 1.5 * 2 ** 52;

/**
 * To the nearest whole number, halves to the even one, as `tf.round` and NumPy's `rint`, for numbers
 * below 2^51; greater ones stay about as great.
 */
export function roundHalfEven(x: number): number {
  return x + WHOLE - WHOLE;
}

/** The code of the nearest level, for rising levels. */
export function nearestLevel(
  levels: ArrayLike<number>,
  begin: number,
  count: number,
  x: number,
): number {
  let [low, high] = [0, count - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (x * 2 > levels[begin + middle]! + levels[begin + middle + 1]!) low = middle + 1;
    else high = middle;
  }
  return low;
}
