import { normalLevels } from '@espalier/compression';
import { levelTable } from './coefficients.js';

/** Rounds of: nearest levels by the scale, best scale for the levels. */
const FITS = 3;

/** The scale of direction `k` that leaves the least weighted error of coordinates `[rows, count]`. */
export function fitScale(
  coordinates: Float32Array,
  weights: Float64Array,
  count: number,
  k: number,
  bits: number,
): number {
  const rows = coordinates.length / count;
  const levels = levelTable(bits);
  const bounds = findBounds(bits);
  let [energy, mass] = [0, 0];
  for (let i = 0; i < rows; i++) {
    energy += weights[i]! * coordinates[i * count + k]! ** 2;
    mass += weights[i]!;
  }
  let scale = energy > 0 ? Math.sqrt(energy / mass) : 1e-30;
  for (let fit = 0; fit < FITS; fit++) {
    let [products, norm] = [0, 0];
    for (let i = 0; i < rows; i++) {
      const value = coordinates[i * count + k]!;
      const level = levels[findCode(value / scale, bounds)]!;
      products += weights[i]! * value * level;
      norm += weights[i]! * level ** 2;
    }
    if (products > 0) scale = products / norm;
  }
  return scale;
}

/** Half-way between neighbouring levels. */
export function findBounds(bits: number): Float64Array {
  const { levels } = normalLevels(bits);
  return Float64Array.from(
    { length: levels.length - 1 },
    (_, i) => (levels[i]! + levels[i + 1]!) / 2,
  );
}

/** The number of the nearest level: how many bounds lie below. */
export function findCode(value: number, bounds: Float64Array): number {
  let [low, high] = [0, bounds.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (bounds[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Scales on a logarithmic grid of 256 from the least to the largest. */
export function placeScales(scales: readonly number[]) {
  const logarithms = scales.map(Math.log);
  const low = Math.fround(Math.min(...logarithms));
  const step = Math.fround((Math.max(...logarithms) - low) / 255);
  const codes = logarithms.map((value) => (step > 0 ? Math.round((value - low) / step) : 0));
  return { low, step, codes: codes.map((code) => Math.max(0, Math.min(255, code))) };
}
