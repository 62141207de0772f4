/** What is known of the scores of some rows before they are computed. */
export interface ScoreBound {
  /** No row is longer. */
  readonly length: number;
  /** No bias is larger. */
  readonly bias: number;
}

/** Of rows that nothing is known of. */
export const UNBOUNDED: ScoreBound = { length: Infinity, bias: Infinity };

/**
 * How far scores may be off, relative to the sum of the magnitudes that they are made of: 2⁻¹⁰ where
 * products take operands of 11 bits (TF32), 2⁻⁹ for sums of up to 2¹⁵ terms in float32.
 */
const ROUNDING = 2 ** -8;

/** Shorter rows and factors count as this long: their squares and products underflow. */
const SHORTEST = 1e-15;

/** The bound of rows with these squared lengths and biases, in float32. NaN stays NaN. */
export function scoreBound(squares: Float32Array, biases: Float32Array | undefined): ScoreBound {
  return { length: Math.sqrt(largest(squares)), bias: biases ? largest(biases) : 0 };
}

/**
 * A number that no score exceeds, whatever the order and rounding of its sum, by Cauchy and Schwarz;
 * NaN or infinite where there is none.
 *
 * @param length of the left factor.
 */
export function largestScore({ length: longest, bias }: ScoreBound, length: number): number {
  const product = Math.max(longest, SHORTEST) * Math.max(length, SHORTEST);
  return bias + product + ROUNDING * (product + Math.abs(bias));
}

function largest(values: Float32Array): number {
  let most = -Infinity;
  for (const value of values) most = Math.max(most, value);
  return most;
}
