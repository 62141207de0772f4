/** Slow float64 references, by the definitions. */

/** A matrix row by row. */
export type Rows = readonly (readonly number[])[];

/** Σ w_i e_iᵀ M e_i over the rows of `a − b`; without a metric M is the identity. */
export function weightedError(a: Rows, b: Rows, weights: ArrayLike<number>, metric?: Rows): number {
  return a.reduce((sum, row, i) => {
    const e = row.map((value, j) => value - b[i]![j]!);
    const moved = metric ? metric.map((m) => dot(m, e)) : e;
    return sum + weights[i]! * dot(e, moved);
  }, 0);
}

/** The least weighted error that any matrix of this rank has: the trailing eigenvalues of Lᵀ G L, M = L Lᵀ. */
export function leastError(
  a: Rows,
  weights: ArrayLike<number>,
  rank: number,
  metric?: Rows,
): number {
  const columns = a[0]!.length;
  const gram = table(columns, (j, k) =>
    a.reduce((sum, row, i) => sum + weights[i]! * row[j]! * row[k]!, 0),
  );
  const l = metric && cholesky(metric);
  const measured = l ? product(transpose(l), product(gram, l)) : gram;
  return symmetricEigenvalues(measured)
    .slice(rank)
    .reduce((sum, value) => sum + value, 0);
}

/** Product of two matrices. */
export function product(a: Rows, b: Rows): number[][] {
  const columns = transpose(b);
  return a.map((row) => columns.map((column) => dot(row, column)));
}

/** Rows of a flat matrix. */
export function rowsOf(data: ArrayLike<number>, columns: number): number[][] {
  const all = Array.from(data);
  return Array.from({ length: all.length / columns }, (_, i) =>
    all.slice(i * columns, (i + 1) * columns),
  );
}

/** Sum of products. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0);
}

function transpose(a: Rows): number[][] {
  return a[0]!.map((_, j) => a.map((row) => row[j]!));
}

function table(size: number, at: (i: number, j: number) => number): number[][] {
  return Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => at(i, j)));
}

function cholesky(m: Rows): number[][] {
  const l = table(m.length, () => 0);
  m.forEach((row, i) => {
    for (let j = 0; j <= i; j++) {
      const rest = row[j]! - dot(l[i]!.slice(0, j), l[j]!.slice(0, j));
      l[i]![j] = i === j ? Math.sqrt(rest) : rest / l[j]![j]!;
    }
  });
  return l;
}

/** Falling eigenvalues, by Jacobi rotations. */
function symmetricEigenvalues(matrix: Rows): number[] {
  const a = matrix.map((row) => [...row]);
  const n = a.length;
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(a, p, q);
  }
  return a.map((row, i) => row[i]!).sort((x, y) => y - x);
}

function rotate(a: number[][], p: number, q: number): void {
  if (a[p]![q] === 0) return;
  const theta = Math.atan2(2 * a[p]![q]!, a[q]![q]! - a[p]![p]!) / 2;
  const [c, s] = [Math.cos(theta), Math.sin(theta)];
  for (const row of a) [row[p], row[q]] = [c * row[p]! - s * row[q]!, s * row[p]! + c * row[q]!];
  const [x, y] = [[...a[p]!], [...a[q]!]];
  a[p] = x.map((value, j) => c * value - s * y[j]!);
  a[q] = x.map((value, j) => s * value + c * y[j]!);
}
