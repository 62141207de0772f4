import { EspalierError } from '@espalier/base';

/** Row-major float32 matrix on the host: entry (i, j) is `data[i * columns + j]`. */
export interface Matrix {
  /** Entries, row after row. */
  readonly data: Float32Array;
  /** Number of rows. */
  readonly rows: number;
  /** Number of columns. */
  readonly columns: number;
}

/** Which rows take part. */
export interface Selection {
  /** Row numbers, in the order of the result; default all. A row may occur more than once. */
  readonly select?: Int32Array;
}

/** Which rows take part, and how much each counts. */
export interface WeightedSelection extends Selection {
  /** One finite weight ≥ 0 per row of the matrix (also of those not selected); default 1. */
  readonly weights?: ArrayLike<number>;
}

/**
 * The row numbers that take part.
 *
 * @throws EspalierError `linalg/size` for a matrix whose data have another length, `linalg/select` for a
 * row that the matrix lacks.
 */
export function selectRows(a: Matrix, select?: Int32Array): Int32Array {
  if (a.data.length !== a.rows * a.columns) {
    throw new EspalierError('linalg/size', {
      problem: `a ${a.rows} × ${a.columns} matrix needs ${a.rows * a.columns} numbers`,
      received: a.data.length,
      fix: 'Pass { data, rows, columns } with data in row-major order.',
    });
  }
  const wrong = select?.find((row) => row < 0 || row >= a.rows);
  if (wrong !== undefined) {
    throw new EspalierError('linalg/select', {
      problem: `select names a row that is not among the ${a.rows} of the matrix`,
      received: wrong,
      fix: `Rows are numbered from 0 to ${a.rows - 1}.`,
    });
  }
  if (select) return select;
  const all = new Int32Array(a.rows);
  for (let row = 0; row < a.rows; row++) all[row] = row;
  return all;
}

/**
 * Weights of the selected rows over their largest, and the largest: what is summed in float32 then
 * keeps its range.
 *
 * @throws EspalierError `linalg/weights` if there are too few or too many, one is negative or not
 * finite, or all that are selected are 0.
 */
export function relativeWeights(
  a: Matrix,
  rows: Int32Array,
  weights?: ArrayLike<number>,
): { readonly relative?: Float64Array; readonly largest: number } {
  if (!weights || rows.length === 0) return { largest: 1 };
  if (weights.length !== a.rows) {
    throw weightsError(`one weight per row is needed, ${a.rows} in all`, weights.length);
  }
  let largest = 0;
  for (const row of rows) {
    const weight = weights[row]!;
    if (!(weight >= 0 && weight < Infinity)) {
      throw weightsError(`the weight of row ${row} must be finite and at least 0`, weight);
    }
    if (weight > largest) largest = weight;
  }
  if (largest === 0) throw weightsError('the weights of all selected rows are 0', 0);
  const relative = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) relative[i] = weights[rows[i]!]! / largest;
  return { relative, largest };
}

/** Powers of two that float32 holds to all digits. */
const LARGEST_POWER = 126;

/**
 * The power of two that brings the largest entry of the selected rows, each times its factor, to between
 * 1 and 2: multiplied with it, squares neither overflow nor underflow float32. Entries that are not
 * finite count as 0.
 */
export function findScale(
  { data, columns }: Matrix,
  rows: Int32Array,
  factors?: ArrayLike<number>,
): number {
  let largest = 0;
  rows.forEach((row, i) => {
    let most = 0;
    for (let at = row * columns, end = at + columns; at < end; at++) {
      const size = Math.abs(data[at]!);
      if (size > most && size < Infinity) most = size;
    }
    largest = Math.max(largest, most * (factors?.[i] ?? 1));
  });
  const power = largest > 0 ? -Math.floor(Math.log2(largest)) : 0;
  return 2 ** Math.max(-LARGEST_POWER, Math.min(LARGEST_POWER, power));
}

function weightsError(problem: string, received: number): EspalierError {
  const fix = 'Counts work; floor those of unseen rows at 1.';
  return new EspalierError('linalg/weights', { problem, received, fix });
}

/** Whether no number is NaN or infinite. */
export function allFinite(values: Float32Array | Float64Array): boolean {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += 0 * values[i]!; // 0 · ∞ is NaN
  return sum === 0;
}

/**
 * The error for a sum over the rows that came out NaN or infinite: names the first entry that is, or
 * says that the numbers are too large to square.
 */
export function notFiniteError(a: Matrix, rows: Int32Array): EspalierError {
  for (const row of rows) {
    const values = a.data.subarray(row * a.columns, (row + 1) * a.columns);
    const column = values.findIndex((value) => !Number.isFinite(value));
    if (column >= 0) {
      return new EspalierError('linalg/not-finite', {
        problem: `the matrix is not finite at row ${row}, column ${column}`,
        received: values[column],
        fix: 'Mend or drop that row.',
      });
    }
  }
  return new EspalierError('linalg/overflow', {
    problem: 'products of entries, weights and factors overflow',
    fix: 'Divide the weights by the largest, or the matrix by its largest entry, and multiply afterwards.',
  });
}
