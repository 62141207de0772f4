import { levelTable } from './coefficients.js';
import type { CodedBlock } from './layout.js';
import type { CodesPlan } from './plan.js';
import { findBounds, findCode } from './scales.js';

/** What decoded rows of length 1 must be multiplied with to be nearest: the factor to a row's length. */
export function measureGains(
  coordinates: Float32Array,
  directions: CodedBlock['directions'],
  scales: readonly number[],
  units: Float64Array,
): Float64Array {
  const count = directions.length;
  const tables = directions.map(({ bits }) => ({
    levels: levelTable(bits),
    bounds: findBounds(bits),
  }));
  return Float64Array.from({ length: coordinates.length / count }, (_, i) => {
    let [products, norm] = [0, 0];
    directions.forEach((__, k) => {
      const { levels, bounds } = tables[k]!;
      const value = coordinates[i * count + k]!;
      const decoded = scales[k]! * levels[findCode(value / scales[k]!, bounds)]!;
      products += units[k]! * value * decoded;
      norm += units[k]! * decoded ** 2;
    });
    return products / norm;
  });
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
