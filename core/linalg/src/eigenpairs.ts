import { EspalierError } from '@espalier/base';
import { denseEigenpairs } from './dense.js';
import type { Pairs } from './dense.js';
import { columnMatrix } from './host-products.js';
import { isNative, nativeEigenpairs } from './native.js';
import { subspaceEigenpairs } from './subspace.js';
import type { Progress } from './subspace.js';

/**
 * `dense`: all pairs in float64 on the host, about 6 ns · size³. `subspace`: subspace iteration, products
 * on the backend in float32. `native`: TensorFlow's solver, float32, on a tfjs-node backend. `auto`:
 * dense up to 128, then native where there is one, then subspace where at most a quarter of the pairs
 * is asked for, else dense.
 */
export type EigenMethod = 'auto' | 'dense' | 'subspace' | 'native';

/** Options of {@link eigenpairs}. */
export interface EigenOptions {
  /** How many pairs, from the largest value on; default all. */
  readonly count?: number;
  /** How to compute them; default `'auto'`. */
  readonly method?: EigenMethod;
}

/** Sizes up to which the dense solver takes a few milliseconds. */
const SMALL = 128;

/** Largest ‖G v − λ v‖, relative to the largest value, that float32 products reach safely. */
const RESIDUAL = 1e-5;

/**
 * All or the leading eigenpairs of a symmetric positive semidefinite matrix [size, size], row-major.
 *
 * @returns `values` [count], descending; `vectors` [size, count] row-major, so that column k belongs to
 * value k. Vectors are orthonormal; the entry of largest magnitude of each is positive.
 * @throws EspalierError `linalg/size`, `linalg/count`, `linalg/not-finite`, `linalg/no-native`.
 * @example
 * const { values, vectors } = await eigenpairs(Float64Array.of(2, 0, 0, 1), 2, { count: 1 }); // [2], [1, 0]
 */
export async function eigenpairs(
  symmetric: Float64Array,
  size: number,
  { count = size, method = 'auto' }: EigenOptions = {},
): Promise<{ readonly values: Float64Array; readonly vectors: Float32Array }> {
  checkSymmetric(symmetric, size);
  checkCount(count, size);
  const small = ({ values, residuals }: Progress) =>
    values.every((_, k) => residuals[k]! <= RESIDUAL * values[0]!);
  const { values, vectors } = await leadingPairs(symmetric, size, count, method, small);
  return { values, vectors: columnMatrix(vectors).data };
}

/** {@link eigenpairs} of what is known to be sound, in float64, with a criterion of the caller's. */
export async function leadingPairs(
  symmetric: Float64Array,
  size: number,
  count: number,
  method: EigenMethod,
  settled: (progress: Progress) => boolean,
): Promise<Pairs> {
  const chosen = method === 'auto' ? choose(size, count) : method;
  if (chosen === 'native' && !isNative()) throw noNativeError();
  const pairs =
    (chosen === 'native' && (await nativeEigenpairs(symmetric, size, count))) ||
    (chosen === 'subspace' && (await subspaceEigenpairs(symmetric, size, count, settled))) ||
    denseEigenpairs(symmetric, size, count);
  pairs.vectors.forEach(fixSign);
  return pairs;
}

function choose(size: number, count: number): EigenMethod {
  if (size <= SMALL) return 'dense';
  if (isNative()) return 'native';
  return count <= size / 4 ? 'subspace' : 'dense';
}

/** Turns a vector so that its entry of largest magnitude is positive. */
export function fixSign(vector: Float64Array): void {
  let largest = 0;
  for (const value of vector) if (Math.abs(value) > Math.abs(largest)) largest = value;
  if (largest < 0) vector.forEach((value, i) => (vector[i] = -value));
}

/** @throws EspalierError `linalg/size`, `linalg/not-finite`. */
export function checkSymmetric(symmetric: Float64Array, size: number): void {
  if (symmetric.length !== size * size) {
    throw new EspalierError('linalg/size', {
      problem: `a symmetric matrix of size ${size} needs ${size * size} numbers`,
      received: symmetric.length,
      fix: 'Pass all rows, one after the other.',
    });
  }
  const at = symmetric.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new EspalierError('linalg/not-finite', {
      problem: `the symmetric matrix is not finite at row ${Math.floor(at / size)}, column ${at % size}`,
      received: symmetric[at],
      fix: 'Check the code that computed this matrix.',
    });
  }
}

/** @throws EspalierError `linalg/count`. */
export function checkCount(count: number, size: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= size) return;
  throw new EspalierError('linalg/count', {
    problem: `count must be a whole number from 1 to the size, ${size}`,
    received: count,
  });
}

function noNativeError(): EspalierError {
  return new EspalierError('linalg/no-native', {
    problem: "method 'native' needs a tfjs-node backend",
    fix: "Leave method out: 'auto' takes the fastest that is there.",
  });
}
