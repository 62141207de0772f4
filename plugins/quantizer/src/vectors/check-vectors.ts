import { checkMatrix } from '@espalier/compression';
import type { Matrix } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import { checkBits, checkFinite } from '../maths/check.js';

/** What codes of vectors are made from. */
export interface VectorInput {
  readonly bits?: number | undefined;
  readonly rowWeights?: ArrayLike<number> | undefined;
}

/**
 * Refuses what cannot be coded.
 *
 * @param caller The function that was called, for the error.
 * @throws EspalierError `compression/matrix`, `quantizer/bits`, `quantizer/empty`, `quantizer/not-finite`,
 * `quantizer/weights`.
 */
export function checkVectors(caller: string, matrix: Matrix, request: VectorInput): void {
  checkMatrix(caller, matrix);
  checkBits(request);
  checkFinite(matrix);
  checkWeights(request.rowWeights, matrix.rows);
}

function checkWeights(weights: ArrayLike<number> | undefined, rows: number): void {
  if (!weights) return;
  if (weights.length !== rows)
    throw weightsError(`${rows} rows need ${rows} weights`, weights.length);
  let largest = 0;
  for (let row = 0; row < rows; row++) {
    const weight = weights[row]!;
    if (!(weight >= 0 && weight < Infinity)) {
      throw weightsError(`the weight of row ${row} must be finite and at least 0`, weight);
    }
    largest = Math.max(largest, weight);
  }
  if (largest === 0) throw weightsError('the weights of all rows are 0', 0);
}

function weightsError(problem: string, received: number): EspalierError {
  const fix = 'Pass one weight for each row: its count, for example.';
  return new EspalierError('quantizer/weights', { problem, received, fix });
}
