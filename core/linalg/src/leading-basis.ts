import { keyedStream } from '@espalier/data';
import { leadingPairs } from './eigenpairs.js';
import { gram } from './gram.js';
import { apply, dot, multiply, scaledRow, trace } from './host-products.js';
import { allFinite, notFinite, relativeWeights } from './matrix.js';
import type { Matrix } from './matrix.js';
import { orthonormalize } from './orthonormalize.js';
import type { Progress } from './subspace.js';

/** min over orthonormal V' [columns, rank] of Σ_i w_i ‖a_i R − a_i R V' V'ᵀ‖². */
export interface Problem {
  readonly a: Matrix;
  readonly rows: Int32Array;
  readonly weights?: ArrayLike<number>;
  readonly rank: number;
  /** R [columns, columns], symmetric; default the identity. */
  readonly root?: Float64Array;
}

/** The columns of V', what they leave out, and how the sums were made. */
export interface LeadingBasis {
  readonly vectors: readonly Float64Array[];
  readonly error: number;
  readonly total: number;
  readonly precision: 'single' | 'double';
}

/** Multiply-adds that the host does in float64 in some 50 ms; larger sums go to the backend. */
const HOST_WORK = 2 ** 26;

/** Where less than this share of the total is left out, float32 sums do not tell the best basis. */
const UNRESOLVED = 1e-3;

/** How much worse than the best the error may be, relatively, where subspace iteration stops. */
const EXCESS = 1e-5;

/**
 * In float64 where that is quick, in float32 on the backend where it is not, and then in float64 after
 * all if float32 turns out not to resolve what is left out.
 */
export async function leadingBasis(problem: Problem): Promise<LeadingBasis> {
  const { a, rows } = problem;
  const side = Math.min(rows.length, a.columns);
  if (rows.length * a.columns * side <= HOST_WORK) {
    return rows.length < a.columns ? fromRows(problem) : fromColumns(problem, 'double');
  }
  const quick = await fromColumns(problem, 'single');
  return quick.error < UNRESOLVED * quick.total ? fromColumns(problem, 'double') : quick;
}

/** From the Gram matrix of the columns. */
async function fromColumns(
  { a, rows, weights, rank, root }: Problem,
  precision: 'single' | 'double',
): Promise<LeadingBasis> {
  const size = a.columns;
  const plain = await gram(a, { select: rows, weights, precision });
  const whitened = root ? multiply(root, multiply(plain, root, size), size) : plain;
  const total = trace(whitened, size);
  const settled = ({ values, residuals, edge }: Progress) => {
    const left = total - sum(values);
    return left < UNRESOLVED * total || shortfall(values, residuals, edge) < EXCESS * left;
  };
  const method = precision === 'double' ? 'dense' : 'auto';
  const { values, vectors } = await leadingPairs(whitened, size, rank, method, settled);
  return { vectors, error: total - sum(values), total, precision };
}

/** From the Gram matrix of the rows, where they are fewer: V' is made of those that count. */
async function fromRows({ a, rows, weights, rank, root }: Problem): Promise<LeadingBasis> {
  const { relative, largest } = relativeWeights(a, rows, weights);
  const scaled = Array.from(rows, (row, i) => {
    const values = scaledRow(a, row, relative ? Math.sqrt(relative[i]!) : 1);
    return root ? apply(root, values) : values;
  });
  const size = rows.length;
  const products = Float64Array.from({ length: size * size }, (_, at) =>
    dot(scaled[Math.floor(at / size)]!, scaled[at % size]!),
  );
  if (!allFinite(products)) throw notFinite(a, rows);
  const { values, vectors } = await leadingPairs(products, size, rank, 'dense', () => true);
  const spread = vectors.map((vector) => combine(scaled, vector));
  orthonormalize(spread, keyedStream('linalg', 'rows'));
  const total = trace(products, size);
  return {
    vectors: spread,
    error: largest * (total - sum(values)),
    total: largest * total,
    precision: 'double',
  };
}

/** Σ_i factors_i vectors_i. */
function combine(vectors: readonly Float64Array[], factors: Float64Array): Float64Array {
  const result = new Float64Array(vectors[0]!.length);
  vectors.forEach((vector, i) => {
    for (let j = 0; j < result.length; j++) result[j]! += factors[i]! * vector[j]!;
  });
  return result;
}

/** How far Ritz values fall short of the eigenvalues at most, in all: each by r, and by r²/gap. */
function shortfall(values: Float64Array, residuals: Float64Array, edge: number): number {
  const each = values.map((value, k) => {
    const residual = residuals[k]!;
    return residual && residual ** 2 / Math.max(value - edge, residual);
  });
  return sum(each);
}

function sum(values: Float64Array): number {
  return values.reduce((all, value) => all + value, 0);
}
