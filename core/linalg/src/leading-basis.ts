import { keyedRng } from '@espalier/base';
import type { Pairs } from './dense.js';
import { fixSign, leadingPairs } from './eigenpairs.js';
import { gram } from './gram.js';
import { multiply, trace, transposeRows } from './host-products.js';
import { allFinite, notFiniteError, relativeWeights } from './matrix.js';
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

/** Eigenvalues of a problem's rank, and the vectors that belong to them. */
interface Found {
  readonly values: Float64Array;
  /** The first `count` columns of V'. */
  vectors(count: number): readonly Float64Array[];
  readonly total: number;
}

/** What is found, what it leaves out, and how the sums were made. */
export interface LeadingBasis extends Found {
  readonly error: number;
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
  const quick = await quickBasis(problem);
  const resolved = quick.precision === 'double' || quick.error >= UNRESOLVED * quick.total;
  return resolved ? quick : computeBasis(problem, 'double');
}

/** In float64 where that is quick, else in float32 on the backend. */
export function quickBasis(problem: Problem): Promise<LeadingBasis> {
  const { a, rows } = problem;
  const side = chooseSide(problem) === fromRows ? rows.length : a.columns;
  const work = rows.length * a.columns * side;
  return computeBasis(problem, work <= HOST_WORK ? 'double' : 'single');
}

async function computeBasis(
  problem: Problem,
  precision: LeadingBasis['precision'],
): Promise<LeadingBasis> {
  const found = await chooseSide(problem)(problem, precision);
  return { ...found, error: found.total - sum(found.values), precision };
}

/** By the smaller side; whoever has a root has paid for the columns' eigenproblem already. */
function chooseSide({ a, rows, root }: Problem) {
  return rows.length < a.columns && !root ? fromRows : fromColumns;
}

/** From the Gram matrix of the columns. */
async function fromColumns(
  { a, rows, weights, rank, root }: Problem,
  precision: LeadingBasis['precision'],
): Promise<Found> {
  const size = a.columns;
  const plain = await gram(a, { select: rows, weights, precision });
  const whitened = root ? multiply(root, multiply(plain, root, size), size) : plain;
  const { vectors, ...found } = await computePairs(whitened, size, rank, precision);
  return { ...found, vectors: (count) => vectors.slice(0, count) };
}

/** From the Gram matrix of the rows: V' is Aᵀ times its eigenvectors, made orthonormal. */
async function fromRows(
  { a, rows, weights, rank }: Problem,
  precision: LeadingBasis['precision'],
): Promise<Found> {
  const { relative, largest } = relativeWeights(a, rows, weights);
  const across = transposeRows(a, rows);
  if (!allFinite(across.data)) throw notFiniteError(a, rows);
  const size = rows.length;
  const roots = Float64Array.from(rows, (_, i) => Math.sqrt(largest * (relative?.[i] ?? 1)));
  const products = (await gram(across, { precision })).map((product, at) => {
    return product * roots[Math.floor(at / size)]! * roots[at % size]!;
  });
  if (!allFinite(products)) throw notFiniteError(a, rows);
  const { vectors, ...found } = await computePairs(products, size, rank, precision);
  const toColumns = (count: number) => {
    const made = vectors.slice(0, count).map((vector) => {
      const factors = vector.map((x, i) => x * roots[i]!);
      return combineRows(a, rows, factors);
    });
    orthonormalize(made, keyedRng('linalg', 'rows'));
    made.forEach(fixSign);
    return made;
  };
  return { ...found, vectors: toColumns };
}

async function computePairs(
  symmetric: Float64Array,
  size: number,
  rank: number,
  precision: LeadingBasis['precision'],
): Promise<Pairs & Pick<Found, 'total'>> {
  const total = trace(symmetric, size);
  const isSettled = ({ values, residuals, edge }: Progress) => {
    const left = total - sum(values);
    return left < UNRESOLVED * total || shortfall(values, residuals, edge) < EXCESS * left;
  };
  const method = precision === 'double' ? 'dense' : 'auto';
  return { ...(await leadingPairs(symmetric, size, rank, method, isSettled)), total };
}

/** Σ_i factors_i a_i over the rows. */
function combineRows(
  { data, columns }: Matrix,
  rows: Int32Array,
  factors: Float64Array,
): Float64Array {
  const result = new Float64Array(columns);
  rows.forEach((row, i) => {
    const factor = factors[i]!;
    for (let j = 0; j < columns; j++) result[j]! += factor * data[row * columns + j]!;
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
