import type { KeyedRng } from '@espalier/base';
import { dot } from './host-products.js';

/** What is left of a vector's length after projection, below which rounding has the say. */
const TWICE_IS_ENOUGH = 0.5;

/** A vector this much shorter than it was is a combination of those before it. */
const DEPENDENT = 1e-12;

/**
 * Makes `vectors` (each of equal length) orthonormal in place, first to last, by Gram–Schmidt, once more
 * wherever cancellation was large (“twice is enough”, Kahan). A vector that depends on those before
 * it, or is 0, is replaced by a random one.
 */
export function orthonormalize(vectors: readonly Float64Array[], draw: KeyedRng): void {
  vectors.forEach((vector, k) => {
    const before = vectors.slice(0, k);
    while (!normalizeAgainst(before, vector)) {
      for (let i = 0; i < vector.length; i++) vector[i] = draw() - 0.5;
    }
  });
}

/** False if nothing but rounding is left of the vector. */
function normalizeAgainst(others: readonly Float64Array[], vector: Float64Array): boolean {
  const initial = length(vector);
  if (!(initial > 0)) return false;
  let current = initial;
  for (;;) {
    for (const other of others) subtract(vector, other, dot(vector, other));
    const left = length(vector);
    if (!(left > DEPENDENT * initial)) return false;
    if (left > TWICE_IS_ENOUGH * current) break;
    current = left;
  }
  const scale = 1 / length(vector);
  for (let i = 0; i < vector.length; i++) vector[i]! *= scale;
  return true;
}

function subtract(x: Float64Array, y: Float64Array, factor: number): void {
  for (let i = 0; i < x.length; i++) x[i]! -= factor * y[i]!;
}

function length(x: Float64Array): number {
  return Math.sqrt(dot(x, x));
}
