import type { Matrix, VocabPartition } from '@espalier/compression';
import type { Factorised } from './factorize.js';
import { placed } from './blocks.js';

/** Errors of a factorised matrix, on the host, row by row. */
export interface RowErrors {
  /** ‖A_i − Ã_i‖², by row number. */
  readonly squared: Float64Array;
  /** ‖A_i‖². */
  readonly norms: Float64Array;
  /** In the metric and times the row's weight, summed over all rows; and the same of A itself. */
  readonly weighted: number;
  readonly weightedTotal: number;
}

/** Distances between a matrix's rows and what their factors give. */
export function rowErrors(
  matrix: Matrix,
  { order }: VocabPartition,
  { blocks, weights }: Factorised,
  importance: { readonly rows: Float64Array; readonly metric?: Float64Array },
): RowErrors {
  const { columns } = matrix;
  const squared = new Float64Array(matrix.rows);
  const norms = new Float64Array(matrix.rows);
  let weighted = 0;
  let weightedTotal = 0;
  const difference = new Float64Array(columns);
  for (const block of placed(blocks)) {
    const { data } = weights[block.matrix]!;
    for (let i = 0; i < block.rows; i++) {
      const row = order[block.begin + i]!;
      const original = matrix.data.subarray(row * columns, (row + 1) * columns);
      difference.set(original);
      if (block.rank === null) difference.fill(0);
      else
        subtractLow(
          difference,
          data.subarray(i * block.rank, (i + 1) * block.rank),
          weights['basis']!.data,
          block.basisBegin,
        );
      squared[row] = dot(difference, difference);
      norms[row] = dot(original, original);
      const weight = importance.rows[row]!;
      weighted += weight * inMetric(difference, squared[row]!, importance.metric);
      weightedTotal += weight * inMetric(original, norms[row]!, importance.metric);
    }
  }
  return { squared, norms, weighted, weightedTotal };
}

function subtractLow(row: Float64Array, u: Float32Array, basis: Float32Array, begin: number): void {
  const columns = row.length;
  u.forEach((factor, k) => {
    const offset = (begin + k) * columns;
    for (let j = 0; j < columns; j++) row[j]! -= factor * basis[offset + j]!;
  });
}

function inMetric(e: ArrayLike<number>, squared: number, metric: Float64Array | undefined): number {
  if (!metric) return squared;
  let sum = 0;
  for (let i = 0; i < e.length; i++) {
    for (let j = 0; j < e.length; j++) sum += e[i]! * metric[i * e.length + j]! * e[j]!;
  }
  return Math.max(0, sum); // a covariance summed in float32 may have tiny negative eigenvalues
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
