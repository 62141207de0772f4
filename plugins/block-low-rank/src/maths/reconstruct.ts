import type { ImportanceWeights, Matrix, VocabPartition } from '@espalier/compression';
import { placeBlocks } from './blocks.js';
import type { Factorization } from './factorize.js';

/** Squared errors of a factorised matrix and squares of the matrix itself, summed over all rows. */
export interface SquaredErrors {
  readonly error: number;
  readonly norm: number;
  /** The same in the metric, each row times its weight. */
  readonly weightedError: number;
  readonly weightedNorm: number;
}

/** What a matrix's factors lose. */
export function squaredErrors(
  matrix: Matrix,
  { order }: VocabPartition,
  { blocks, weights }: Factorization,
  importance: ImportanceWeights,
): SquaredErrors {
  const { columns } = matrix;
  let [error, norm, weightedError, weightedNorm] = [0, 0, 0, 0];
  const difference = new Float64Array(columns);
  for (const block of placeBlocks(blocks)) {
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
      const [lost, whole] = [dot(difference, difference), dot(original, original)];
      error += lost;
      norm += whole;
      const weight = importance.rows[row]!;
      weightedError += weight * inMetric(difference, lost, importance.metric);
      weightedNorm += weight * inMetric(original, whole, importance.metric);
    }
  }
  return { error, norm, weightedError, weightedNorm };
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
