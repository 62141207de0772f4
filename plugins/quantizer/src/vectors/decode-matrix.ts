import type { Matrix, MatrixShape, StorageConfig } from '@espalier/compression';
import { decodeVectors } from './decode-vectors.js';
import { computeVectorLayout } from './layout.js';
import type { QuantizedVectors } from './layout.js';
import { transposeMatrix } from './points.js';

/** The numbers that codes of vectors stand for. A rotation is undone in float64 and rounded. */
export function decodeVectorMatrix(
  config: StorageConfig,
  weights: QuantizedVectors['weights'],
  shape: MatrixShape,
): Matrix {
  const { format, config: parsed } = computeVectorLayout(config, shape);
  const { rows, columns } = format;
  const data = new Float32Array(rows * columns);
  const all = Int32Array.from({ length: rows }, (_, row) => row);
  const [codes, codebook] = [weights.codes as Int32Array, weights.codebook as Float32Array];
  decodeVectors(data, codes, codebook, format, all);
  if (weights.rotation) turnBack(data, weights.rotation as Float32Array, columns);
  const coded = { data, rows, columns };
  return parsed.transposed ? transposeMatrix(coded) : coded;
}

/** Each row `y` becomes `y Rᵀ`. */
function turnBack(data: Float32Array, rotation: Float32Array, columns: number): void {
  for (let at = 0; at < data.length; at += columns) {
    const row = data.slice(at, at + columns);
    for (let i = 0, r = 0; i < columns; i++) {
      let sum = 0;
      for (let j = 0; j < columns; j++) sum += row[j]! * rotation[r++]!;
      data[at + i] = sum;
    }
  }
}
