import { codeRows, measureGain } from './piece-coders.js';
import type { RowCoder } from './piece-coders.js';
import type { CodesPlan } from './plan.js';

/** What decoded rows of length 1 must be multiplied with to be nearest: the factor to a row's length. */
export async function measureGains(
  coordinates: Float32Array,
  coder: RowCoder,
  units: Float64Array,
): Promise<Float64Array> {
  const count = units.length;
  const { values } = await codeRows(coder, coordinates);
  return Float64Array.from({ length: coordinates.length / count }, (_, i) =>
    measureGain(values, coordinates, i * count, units),
  );
}

/** Least and largest squared length of the rows of each block that are not zeros. */
export function rangeSquares(
  { curve: { cells } }: CodesPlan,
  squares: Float64Array,
): readonly { readonly low: number; readonly high: number }[] {
  const ranges = cells.sizes.map(() => ({ low: Infinity, high: 0 }));
  squares.forEach((square, row) => {
    if (square === 0) return;
    const range = ranges[cells.of[row]!]!;
    range.low = Math.min(range.low, square);
    range.high = Math.max(range.high, square);
  });
  return ranges;
}

/** The grid of lengths: from the shortest row times the least factor to the longest times the largest. */
export function placeLengths(
  gains: Float64Array,
  { low, high }: { readonly low: number; readonly high: number },
  bits: number,
): readonly [low: number, step: number] {
  const logarithms = Array.from(gains, Math.log).filter(Number.isFinite);
  if (logarithms.length === 0 || high === 0) return [0, 0];
  const first = Math.fround(Math.log(low) / 2 + Math.min(...logarithms));
  const last = Math.log(high) / 2 + Math.max(...logarithms);
  return [first, Math.fround((last - first) / (2 ** bits - 2))];
}
