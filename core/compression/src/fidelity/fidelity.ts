import type { Matrix } from '@espalier/linalg';

/** Options of {@link relativeError}: which rows count, and how much. */
export interface RelativeErrorOptions {
  /** Row numbers; default all. */
  readonly rows?: Int32Array;
  /** Weight of each row's error, `[rows of the matrix]`; default all alike. */
  readonly weights?: ArrayLike<number>;
}

/**
 * `√(Σ wᵢ ‖aᵢ − ãᵢ‖² / Σ wᵢ ‖aᵢ‖²)` over rows: 0 for equal matrices, and where all rows are zero.
 *
 * @example
 * relativeError(matrix, decoded, { weights: counts });
 */
export function relativeError(
  original: Matrix,
  approximated: Matrix,
  { rows, weights }: RelativeErrorOptions = {},
): number {
  const { columns } = original;
  let [error, norm] = [0, 0];
  for (let i = 0; i < (rows?.length ?? original.rows); i++) {
    const row = rows ? rows[i]! : i;
    const weight = weights ? weights[row]! : 1;
    for (let at = row * columns; at < (row + 1) * columns; at++) {
      error += weight * (original.data[at]! - approximated.data[at]!) ** 2;
      norm += weight * original.data[at]! ** 2;
    }
  }
  return norm === 0 ? 0 : Math.sqrt(error / norm);
}

/**
 * Word ids in ten groups of equal size (up to rounding), the most frequent words first. Without counts, and
 * among words of equal count, the order is that of the ids. With fewer than ten words each word is a group.
 *
 * @example
 * const [mostFrequent] = frequencyDeciles(10_000, counts); // 1000 ids
 */
export function frequencyDeciles(words: number, counts?: ArrayLike<number>): Int32Array[] {
  const order = Int32Array.from({ length: words }, (_, id) => id);
  if (counts) order.sort((a, b) => counts[b]! - counts[a]! || a - b);
  const groups = Math.min(10, words);
  const end = (group: number) => Math.round((group * words) / groups);
  return Array.from({ length: groups }, (_, g) => order.subarray(end(g), end(g + 1)));
}

/**
 * The relative error of each group of rows, as {@link relativeError}.
 *
 * @example
 * decileErrors(matrix, decoded, frequencyDeciles(matrix.rows, counts));
 */
export function decileErrors(
  original: Matrix,
  approximated: Matrix,
  deciles: readonly Int32Array[],
): number[] {
  return deciles.map((rows) => relativeError(original, approximated, { rows }));
}
