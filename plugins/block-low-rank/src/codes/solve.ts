/**
 * Solves `A X = B` for a symmetric positive definite A `[size, size]` by Cholesky's factors, in place of `right`
 * `[size, count]`. A pivot that is lost to rounding is raised.
 */
export function solveSymmetric(
  symmetric: Float64Array,
  right: Float64Array,
  size: number,
  count: number,
): void {
  const factor = decompose(symmetric, size);
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) subtractRow(right, i, k, factor[i * size + k]!, count);
    divideRow(right, i, factor[i * (size + 1)]!, count);
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) subtractRow(right, i, k, factor[k * size + i]!, count);
    divideRow(right, i, factor[i * (size + 1)]!, count);
  }
}

/** The lower factor L of `A = L Lᵀ`. */
function decompose(symmetric: Float64Array, size: number): Float64Array {
  const lower = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = symmetric[i * size + j]!;
      for (let k = 0; k < j; k++) sum -= lower[i * size + k]! * lower[j * size + k]!;
      const least = 1e-12 * symmetric[i * (size + 1)]!;
      lower[i * size + j] =
        i === j ? Math.sqrt(Math.max(sum, least)) : sum / lower[j * (size + 1)]!;
    }
  }
  return lower;
}

function subtractRow(
  data: Float64Array,
  i: number,
  k: number,
  factor: number,
  count: number,
): void {
  if (factor === 0) return;
  for (let c = 0; c < count; c++) data[i * count + c]! -= factor * data[k * count + c]!;
}

function divideRow(data: Float64Array, i: number, divisor: number, count: number): void {
  for (let c = 0; c < count; c++) data[i * count + c]! /= divisor;
}
