import type { Matrix } from '@espalier/linalg';

/** A matrix from its entries. */
export function matrix(
  rows: number,
  columns: number,
  entry: (i: number, j: number) => number,
): Matrix {
  const data = Float32Array.from({ length: rows * columns }, (_, at) =>
    entry(Math.floor(at / columns), at % columns),
  );
  return { data, rows, columns };
}

/** Row i as numbers. */
export function row({ data, columns }: Matrix, i: number): number[] {
  return Array.from(data.subarray(i * columns, (i + 1) * columns));
}

/** Σ w a aᵀ, straight from the definition, in float64. */
export function gramByDefinition(a: Matrix, rows: readonly number[], weights?: readonly number[]) {
  const sum = new Float64Array(a.columns ** 2);
  for (const i of rows) {
    const values = row(a, i);
    const weight = weights?.[i] ?? 1;
    for (let j = 0; j < a.columns; j++) {
      for (let k = 0; k < a.columns; k++)
        sum[j * a.columns + k]! += weight * values[j]! * values[k]!;
    }
  }
  return sum;
}

/** Σ w (a − u Vᵀ) C (a − u Vᵀ)ᵀ over the selected rows, straight from the definition, in float64. */
export function errorByDefinition(
  a: Matrix,
  u: Matrix,
  v: Matrix,
  {
    rows,
    weights,
    metric,
  }: {
    readonly rows?: readonly number[];
    readonly weights?: ArrayLike<number> | null;
    readonly metric?: ArrayLike<number> | null;
  } = {},
): number {
  const selected = rows ?? Array.from({ length: a.rows }, (_, i) => i);
  const basis = Array.from({ length: v.rows }, (_, j) => row(v, j));
  return selected.reduce((sum, i, at) => {
    const factors = row(u, at);
    const left = row(a, i).map(
      (value, j) => value - factors.reduce((dot, x, k) => dot + x * basis[j]![k]!, 0),
    );
    const square = left.reduce(
      (all, x, j) =>
        all +
        (metric
          ? left.reduce((part, y, k) => part + x * y * metric[j * a.columns + k]!, 0)
          : x * x),
      0,
    );
    return sum + (weights?.[i] ?? 1) * square;
  }, 0);
}

/** Largest entry of |Vᵀ V − I|. */
export function departureFromOrthonormal(v: Matrix): number {
  let worst = 0;
  for (let k = 0; k < v.columns; k++) {
    for (let l = 0; l < v.columns; l++) {
      let dot = 0;
      for (let i = 0; i < v.rows; i++)
        dot += v.data[i * v.columns + k]! * v.data[i * v.columns + l]!;
      worst = Math.max(worst, Math.abs(dot - (k === l ? 1 : 0)));
    }
  }
  return worst;
}
