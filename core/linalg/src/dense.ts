import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

/** Eigenpairs in float64, values descending: `vectors[k]` is of unit length and belongs to `values[k]`. */
export interface Pairs {
  readonly values: Float64Array;
  readonly vectors: readonly Float64Array[];
}

/** The leading eigenpairs by tridiagonalization and QL (ml-matrix), float64. */
export function denseEigenpairs(symmetric: Float64Array, size: number, count: number): Pairs {
  const decomposition = new EigenvalueDecomposition(Matrix.from1DArray(size, size, symmetric), {
    assumeSymmetric: true,
  });
  const values = decomposition.realEigenvalues; // ascending
  const columns = decomposition.eigenvectorMatrix;
  const leading = Array.from({ length: count }, (_, k) => size - 1 - k);
  return {
    values: Float64Array.from(leading, (k) => values[k]!),
    vectors: leading.map((k) => Float64Array.from(columns.getColumn(k))),
  };
}
