import { keyedRng } from '@espalier/core';
import type { Matrix } from '@espalier/linalg';
import * as tf from '@tensorflow/tfjs-core';
import { findNearest } from './nearest.js';

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

/** Options of {@link neighbourOverlap}. */
export interface NeighbourOptions {
  /** How many nearest words are compared; default 10. */
  readonly neighbours?: number;
  /** How many words are asked for theirs, shared out evenly; default 1000. */
  readonly queries?: number;
  /** Draws those words; default 0. */
  readonly seed?: number;
}

/** Products computed at once. */
const PRODUCTS = 4_000_000;

/**
 * Which share of a word's nearest words, by cosine among all words, stays: the mean over sampled
 * words of each group, from 0 to 1.
 *
 * @example
 * const overlap = await neighbourOverlap(matrix, decoded, frequencyDeciles(words, counts));
 */
export async function neighbourOverlap(
  original: Matrix,
  approximated: Matrix,
  deciles: readonly Int32Array[],
  { neighbours = 10, queries = 1000, seed = 0 }: NeighbourOptions = {},
): Promise<number[]> {
  const each = Math.ceil(queries / deciles.length);
  const samples = deciles.map((rows, i) => sample(rows, each, seed, i));
  const asked = Int32Array.from(samples.flatMap((rows) => [...rows]));
  const k = Math.min(neighbours, original.rows - 1);
  const [before, after] = [
    await findNeighbours(original, asked, k),
    await findNeighbours(approximated, asked, k),
  ];
  let begin = 0;
  return samples.map(({ length }) => {
    const shares = Array.from({ length }, (_, i) =>
      computeOverlap(before[begin + i]!, after[begin + i]!),
    );
    begin += length;
    return shares.reduce((sum, share) => sum + share, 0) / length;
  });
}

/** `size` different rows at random, or all where there are no more. */
function sample(rows: Int32Array, size: number, seed: number, group: number): Int32Array {
  if (rows.length <= size) return rows;
  const order = keyedRng(seed, 'neighbour-overlap', group).permutation(rows.length);
  return order.subarray(0, size).map((at) => rows[at]!);
}

async function findNeighbours(matrix: Matrix, asked: Int32Array, k: number): Promise<Int32Array[]> {
  const { data, rows, columns } = matrix;
  const directions = tf.tidy(() => {
    const all = tf.tensor2d(data, [rows, columns]);
    return tf.mul(all, tf.rsqrt(tf.maximum(tf.sum(tf.square(all), 1, true), 1e-30)));
  });
  const found: Int32Array[] = [];
  const size = Math.max(1, Math.floor(PRODUCTS / rows));
  for (let begin = 0; begin < asked.length; begin += size) {
    const chunk = asked.subarray(begin, begin + size);
    const cosines = tf.tidy(() =>
      tf.matMul(tf.gather(directions, tf.tensor1d(chunk, 'int32')), directions, false, true),
    );
    const values = (await cosines.data()) as Float32Array;
    cosines.dispose();
    chunk.forEach((word, i) => {
      found.push(findNearest(values.subarray(i * rows, (i + 1) * rows), word, k));
    });
  }
  directions.dispose();
  return found;
}

function computeOverlap(before: Int32Array, after: Int32Array): number {
  if (before.length === 0) return 1;
  const kept = new Set(before);
  return after.filter((word) => kept.has(word)).length / before.length;
}
