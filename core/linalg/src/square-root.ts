import { checkSymmetric, leadingPairs } from './eigenpairs.js';

/** Options of {@link squareRoot}. */
export interface SquareRootOptions {
  /**
   * Eigenvalues below this share of the largest are raised to it, so that there is an inverse;
   * default 1e-6.
   */
  readonly ridge?: number;
}

/**
 * The symmetric square root of a symmetric positive semidefinite matrix [size, size], and its inverse,
 * both row-major. A singular matrix is ridged; the zero matrix counts as the identity.
 *
 * @throws EspalierError `linalg/size`, `linalg/not-finite`.
 * @example
 * const { root, inverse } = await squareRoot(Float64Array.of(4, 0, 0, 9), 2); // [2, 0, 0, 3], [½, 0, 0, ⅓]
 */
export async function squareRoot(
  symmetric: Float64Array,
  size: number,
  { ridge = 1e-6 }: SquareRootOptions = {},
): Promise<{ readonly root: Float64Array; readonly inverse: Float64Array }> {
  checkSymmetric(symmetric, size);
  const { values, vectors } = await leadingPairs(symmetric, size, size, 'dense', () => true);
  const floor = values[0]! > 0 ? ridge * values[0]! : 1;
  const roots = values.map((value) => Math.sqrt(Math.max(value, floor)));
  return {
    root: compose(vectors, roots),
    inverse: compose(
      vectors,
      roots.map((root) => 1 / root),
    ),
  };
}

/** Σ_k values_k v_k v_kᵀ. */
function compose(vectors: readonly Float64Array[], values: Float64Array): Float64Array {
  const size = vectors.length;
  const sum = new Float64Array(size * size);
  vectors.forEach((vector, k) => {
    for (let i = 0; i < size; i++) {
      const factor = values[k]! * vector[i]!;
      for (let j = 0; j < size; j++) sum[i * size + j]! += factor * vector[j]!;
    }
  });
  return sum;
}
