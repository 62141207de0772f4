import type { Matrix } from '@espalier/compression';
import type { KeyedRng } from '@espalier/core';

/** Some rows of a matrix, in random order, which stand for all of them. */
export interface RowSample {
  readonly matrix: Matrix;
  /** How many rows each stands for, `[rows of the sample]`. */
  readonly copies: Float64Array;
  /** The weight of each row times the rows that it stands for; absent where rows have no weights. */
  readonly weights?: Float64Array | undefined;
}

/**
 * At most `size` rows. A row is drawn with a probability that grows with its weight, half of it by the
 * weight and half alike for all, up to 1: rows that matter much are all there. Sums over the sample, each
 * row times what it stands for, estimate sums over the matrix without bias.
 */
export function sampleRows(
  matrix: Matrix,
  size: number,
  draw: KeyedRng,
  rowWeights?: ArrayLike<number>,
): RowSample {
  const { rows } = matrix;
  const chances = rows <= size ? undefined : findChances(rows, size, rowWeights);
  const chosen = chances ? drawSystematically(chances, draw()) : numberRows(rows);
  const order = draw.permutation(chosen.length).map((at) => chosen[at]!);
  const copies = Float64Array.from(order, (row) => (chances ? 1 / chances[row]! : 1));
  const weigh = (row: number, i: number) => rowWeights![row]! * copies[i]!;
  return {
    matrix: pickRows(matrix, order),
    copies,
    weights: rowWeights && Float64Array.from(order, weigh),
  };
}

function numberRows(rows: number): Int32Array {
  return Int32Array.from({ length: rows }, (_, row) => row);
}

/** The probability of each row; they sum to `size`. */
function findChances(
  rows: number,
  size: number,
  rowWeights: ArrayLike<number> | undefined,
): Float64Array {
  const shares = new Float64Array(rows).fill(1 / rows);
  if (rowWeights) {
    let total = 0;
    for (let row = 0; row < rows; row++) total += rowWeights[row]!;
    for (let row = 0; row < rows; row++) shares[row] = (1 / rows + rowWeights[row]! / total) / 2;
  }
  let factor = size;
  for (;;) {
    let [certain, rest] = [0, 0];
    for (const share of shares) {
      if (share * factor >= 1) certain++;
      else rest += share;
    }
    const next = (size - certain) / rest;
    if (!(next > factor * (1 + 1e-9))) break;
    factor = next;
  }
  return shares.map((share) => Math.min(1, share * factor));
}

/** Rows at equal steps along the sum of the chances, from a random start. */
function drawSystematically(chances: Float64Array, start: number): Int32Array {
  const chosen: number[] = [];
  let sum = 0;
  chances.forEach((chance, row) => {
    const before = sum;
    sum += chance;
    if (Math.floor(sum + start) > Math.floor(before + start)) chosen.push(row);
  });
  return Int32Array.from(chosen);
}

/** Rows by number. */
export function pickRows({ data, columns }: Matrix, order: Int32Array): Matrix {
  const picked = new Float32Array(order.length * columns);
  order.forEach((row, i) => {
    picked.set(data.subarray(row * columns, (row + 1) * columns), i * columns);
  });
  return { data: picked, rows: order.length, columns };
}
