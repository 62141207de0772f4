import type { Matrix } from './matrix.js';

/**
 * The product of two square matrices `[size, size]`, row-major.
 *
 * @example
 * const whitened = multiply(root, multiply(covariance, root, size), size);
 */
export function multiply(left: Float64Array, right: Float64Array, size: number): Float64Array {
  const result = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const row = result.subarray(i * size, (i + 1) * size);
    for (let k = 0; k < size; k++) {
      const factor = left[i * size + k]!;
      const other = right.subarray(k * size, (k + 1) * size);
      for (let j = 0; j < size; j++) row[j]! += factor * other[j]!;
    }
  }
  return result;
}

/** A square matrix times a vector. */
export function apply(matrix: Float64Array, vector: Float64Array): Float64Array {
  const size = vector.length;
  return vector.map((_, i) => dot(matrix.subarray(i * size, (i + 1) * size), vector));
}

/** The inner product. */
export function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

/** The sum of the diagonal. */
export function trace(matrix: Float64Array, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += matrix[i * (size + 1)]!;
  return sum;
}

/** The largest entry of the diagonal: of a semidefinite matrix, the largest of all. */
export function largestDiagonal(matrix: Float64Array, size: number): number {
  let largest = 0;
  for (let i = 0; i < size; i++) largest = Math.max(largest, matrix[i * size + i]!);
  return largest;
}

/** The selected rows of a matrix as the columns of another, to the bit. */
export function transposeRows({ data, columns }: Matrix, select: Int32Array): Matrix {
  const result = new Float32Array(columns * select.length);
  select.forEach((row, i) => {
    for (let j = 0; j < columns; j++) result[j * select.length + i] = data[row * columns + j]!;
  });
  return { data: result, rows: columns, columns: select.length };
}

/** Vectors as the columns of a float32 matrix. */
export function columnMatrix(vectors: readonly Float64Array[]): Matrix {
  const [rows, columns] = [vectors[0]!.length, vectors.length];
  const data = new Float32Array(rows * columns);
  vectors.forEach((vector, k) => {
    for (let i = 0; i < rows; i++) data[i * columns + k] = vector[i]!;
  });
  return { data, rows, columns };
}
