import { checkCount } from './eigenpairs.js';
import { columnMatrix } from './host-products.js';
import { quickBasis } from './leading-basis.js';
import { selectRows } from './matrix.js';
import type { Matrix, WeightedSelection } from './matrix.js';

/** Options of {@link spectrum}. */
export interface SpectrumOptions extends WeightedSelection {
  /** How many directions, from the heaviest on; default the smaller number of rows and columns. */
  readonly count?: number;
  /** R [columns, columns], symmetric, row-major: rows are multiplied with it first; default: none. */
  readonly root?: Float64Array;
}

/** Energies of directions, and the directions, made when asked for. */
export interface Spectrum {
  /** Energies `[count]`, descending. */
  readonly values: Float64Array;
  /** The first `count` directions as orthonormal columns `[columns, count]`. */
  vectors(count: number): Matrix;
}

/**
 * The heaviest directions of weighted rows: leading eigenpairs of R (Σ_i w_i a_i a_iᵀ) R, found by way
 * of the smaller side, Gram matrix of the columns or of the rows; with a root, always of the columns.
 *
 * @returns `values` [count], descending, and `vectors(n)` [columns, n], orthonormal, for n up to count:
 * column k belongs to value k, and its entry of largest magnitude is positive. What is left of a rank
 * that the rows do not have are values of 0, or nearly, and any vectors.
 * @throws EspalierError `linalg/count`, and those of `gram`.
 * @example
 * const { values, vectors } = await spectrum(head, { weights: counts });
 * const leading = vectors(8); // [columns, 8]
 */
export async function spectrum(
  a: Matrix,
  { count, weights, select, root }: SpectrumOptions = {},
): Promise<Spectrum> {
  const rows = selectRows(a, select);
  const most = Math.min(rows.length, a.columns);
  const rank = count ?? most;
  checkCount(rank, most);
  const { values, vectors } = await quickBasis({ a, rows, weights, rank, root });
  return { values, vectors: (n) => columnMatrix(vectors(n)) };
}
