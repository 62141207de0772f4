import { findCodebook, findLevel } from './codebooks.js';
import type { CodedBlock, CodePiece } from './layout.js';
import { codeRows } from './piece-coders.js';

/** By how much a scale of a direction with a code of its own grows in one try. */
const WIDER = 1.4;

/** Rounds of: nearest values by the scales, best scales for the values. */
const FITS = 2;

/**
 * The scales of a block's directions that leave the least weighted error.
 *
 * @param coordinates `[rows, directions]`.
 * @param weights `[rows]`.
 */
export async function fitScales(
  { directions, pieces }: Pick<CodedBlock, 'directions' | 'pieces'>,
  coordinates: Float32Array,
  weights: Float64Array,
): Promise<Float64Array> {
  const count = directions.length;
  const scales = startScales(coordinates, weights, count);
  for (const piece of pieces) {
    if (piece.count === 1) widenScale(scales, piece, coordinates, weights);
  }
  for (let fit = 0; fit < FITS; fit++) {
    const { values } = await codeRows({ directions, pieces, scales }, coordinates);
    const [products, norms] = [new Float64Array(count), new Float64Array(count)];
    weights.forEach((weight, row) => {
      for (let k = 0, at = row * count; k < count; k++, at++) {
        const value = values[at]!;
        products[k]! += weight * coordinates[at]! * value;
        norms[k]! += weight * value * value;
      }
    });
    products.forEach((product, k) => {
      if (product > 0) scales[k]! *= product / norms[k]!;
    });
  }
  return scales;
}

/** Roots of mean squares. */
function startScales(
  coordinates: Float32Array,
  weights: Float64Array,
  count: number,
): Float64Array {
  const energies = new Float64Array(count);
  let mass = 0;
  weights.forEach((weight, row) => {
    mass += weight;
    for (let k = 0; k < count; k++) energies[k]! += weight * coordinates[row * count + k]! ** 2;
  });
  return energies.map((energy) => (energy > 0 ? Math.sqrt(energy / mass) : 1e-30));
}

/**
 * Widens a scale while that leaves less error: where few rows weigh much, the others may lie far beyond the mean
 * square, and many bits reach them at little cost.
 */
function widenScale(
  scales: Float64Array,
  { bits, first }: CodePiece,
  coordinates: Float32Array,
  weights: Float64Array,
): void {
  const { values } = findCodebook(bits, 1);
  const measure = (scale: number) => {
    let error = 0;
    weights.forEach((weight, row) => {
      const number = coordinates[row * scales.length + first]!;
      error += weight * (number - scale * values[findLevel(number / scale, values)]!) ** 2;
    });
    return error;
  };
  let least = measure(scales[first]!);
  for (;;) {
    const wider = WIDER * scales[first]!;
    const error = measure(wider);
    if (!(error < least)) return;
    scales[first] = wider;
    least = error;
  }
}

/** Scales on a logarithmic grid of 256 from the least to the largest. */
export function placeScales(scales: readonly number[]) {
  const logarithms = scales.map(Math.log);
  const low = Math.fround(Math.min(...logarithms));
  const step = Math.fround((Math.max(...logarithms) - low) / 255);
  const codes = logarithms.map((value) => (step > 0 ? Math.round((value - low) / step) : 0));
  return { low, step, codes: codes.map((code) => Math.max(0, Math.min(255, code))) };
}
