import { EspalierError } from '@espalier/base';
import { apply, columnMatrix } from './host-products.js';
import { leadingBasis } from './leading-basis.js';
import { selectRows } from './matrix.js';
import type { Matrix, WeightedSelection } from './matrix.js';
import { project } from './project.js';
import { rowErrors } from './residuals.js';
import { squareRoot } from './square-root.js';

/** Options of {@link weightedLowRank}. */
export interface LowRankOptions extends WeightedSelection {
  /** From 1 to the smaller of the number of selected rows and of columns. */
  readonly rank: number;
  /**
   * Symmetric positive semidefinite [columns, columns], row-major, that weighs the columns: the
   * covariance of what the matrix is multiplied with. Default the identity.
   */
  readonly metric?: Float64Array;
  /** What to do about directions that the metric hardly sees: see `squareRoot`. */
  readonly ridge?: number;
}

/** A factorization U Vᵀ of the selected rows, and how much it leaves out. */
export interface LowRank {
  /** [selected, rank]. */
  readonly u: Matrix;
  /** [columns, rank]; orthonormal unless there is a metric. */
  readonly v: Matrix;
  /** Σ w_i ‖a_i − u_i Vᵀ‖² over the selected rows, in the metric (as ridged) if there is one. */
  readonly error: number;
  /** Σ w_i ‖a_i‖², in the same metric. */
  readonly total: number;
}

/**
 * Shares of the total down to which `total − Σ values` has its digits: the rounding of sums in float32
 * is some 1e-6 of the total, that of factors in float32 1e-12. Below, the error is summed by rows.
 */
const RESOLVED = { single: 1e-2, double: 1e-6 } as const;

/**
 * The weighted low rank approximation: U and V that minimize Σ_i w_i ‖(a_i − u_i Vᵀ) C^½‖² over the
 * selected rows, where C is the metric. With V' the leading eigenvectors of C^½ Aᵀ diag(w) A C^½,
 * U = A C^½ V' and V = C^-½ V' (GroupReduce, arXiv 1806.06950, for the weights; SVD-LLM, arXiv
 * 2403.07378, for the metric).
 *
 * The error is within 1e-4, relatively, of what LAPACK reaches in float64. Where so little is left out
 * that float32 cannot resolve it, everything is computed in float64 on the host, which takes longer.
 *
 * @throws EspalierError `linalg/rank`, and those of `gram` and `squareRoot`.
 * @example
 * const { u, v, error, total } = await weightedLowRank(embedding, { rank: 20, weights: counts });
 */
export async function weightedLowRank(
  a: Matrix,
  { rank, weights, select, metric, ridge }: LowRankOptions,
): Promise<LowRank> {
  const rows = selectRows(a, select);
  checkRank(rank, rows.length, a.columns);
  const whitening = metric && (await squareRoot(metric, a.columns, { ridge }));
  const { root } = whitening ?? {};
  const basis = await leadingBasis({ a, rows, weights, rank, root });
  const vectors = basis.vectors(rank);
  const times = (matrix?: Float64Array) =>
    columnMatrix(matrix ? vectors.map((each) => apply(matrix, each)) : vectors);
  const encode = times(root);
  const u = await project(a, encode, { select: rows });
  const error =
    basis.error > RESOLVED[basis.precision] * basis.total
      ? basis.error
      : await sumErrors(rowErrors(a, rows, encode, times(), root), rows, weights);
  return { u, v: times(whitening?.inverse), error, total: basis.total };
}

async function sumErrors(
  errors: Promise<Float64Array>,
  rows: Int32Array,
  weights?: ArrayLike<number>,
): Promise<number> {
  return (await errors).reduce((sum, each, i) => sum + each * (weights?.[rows[i]!] ?? 1), 0);
}

function checkRank(rank: number, rows: number, columns: number): void {
  if (Number.isInteger(rank) && rank >= 1 && rank <= Math.min(rows, columns)) return;
  throw new EspalierError('linalg/rank', {
    problem: `rank must be a whole number from 1 to ${Math.min(rows, columns)}, the smaller side of the ${rows} × ${columns} rows that are approximated`,
    received: rank,
    fix:
      rows < 1
        ? 'Select at least one row.'
        : 'Keep such rows as they are: a low rank saves nothing.',
  });
}
