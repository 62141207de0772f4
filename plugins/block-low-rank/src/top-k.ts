import { EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { BestScores } from './best-scores.js';
import type { BlockMatrix } from './block-matrix.js';
import type { BlockLowRankDense } from './layers.js';

/** The best units of every row. */
export interface TopK {
  readonly k: number;
  /** `[rows, k]`, falling in each row. */
  readonly values: Float32Array;
  /** Unit numbers, `[rows, k]`; of equal scores the one found first. */
  readonly indices: Int32Array;
}

/** Finds the best units of a layer again and again. */
export interface TopKSearch {
  /**
   * The `k` largest scores (bias included, before any activation) and which units they belong to.
   *
   * @param x `[rows, inputs]`, the layer's inputs.
   * @throws EspalierError `top-k/k`, `top-k/shape`.
   */
  find(x: Tensor2D, k: number): Promise<TopK>;
  /** Frees the factors that the search holds. */
  dispose(): void;
}

/** Rows of a block whose scores are there at a time. */
const CHUNK = 8192;

/** A stretch of a block's rows. */
interface Stretch {
  readonly block: number;
  /** Its first row in the block. */
  readonly begin: number;
  readonly size: number;
  /** Position of that row among all. */
  readonly position: number;
}

/** What a search needs of a layer beside its factors, on the host and by position. */
interface Labels {
  readonly bias: Float32Array;
  /** Unit numbers; none where positions are unit numbers. */
  readonly words: Int32Array | undefined;
}

/**
 * The `k` largest scores (bias included, before any activation) of a factorised dense layer and
 * which units they belong to. At most `rows × 8192` scores exist at a time. Codes are decoded in
 * every call: for many calls see {@link topKSearch}.
 *
 * @param x `[rows, inputs]`.
 * @throws EspalierError `top-k/k`, `top-k/shape`.
 * @example
 * const { indices } = await topK(model.getLayer('softmax') as BlockLowRankDense, hidden, 10);
 */
export async function topK(layer: BlockLowRankDense, x: Tensor2D, k: number): Promise<TopK> {
  const { matrix } = layer;
  check(x, k, matrix);
  const labels = await labelsOf(layer);
  const factors = tf.tidy(() => [...matrix.leftFactors(x, matrix.basis())]);
  try {
    return await best(stretchesOf(matrix), x.shape[0], k, labels, ({ block, begin, size }) =>
      matrix.scoresIn(factors[block]!, block, begin, size),
    );
  } finally {
    disposeAllBut(x, factors);
  }
}

/**
 * Makes a layer ready for many searches with the weights that it has now: its factors are decoded
 * and laid out for the product, which takes as many bytes as the factors in float32. A search is to
 * be disposed, and to be made anew where the layer has trained on.
 *
 * @example
 * const search = await topKSearch(model.getLayer('softmax') as BlockLowRankDense);
 * const { indices } = await search.find(hidden, 10);
 * search.dispose();
 */
export async function topKSearch(layer: BlockLowRankDense): Promise<TopKSearch> {
  const { matrix } = layer;
  const labels = await labelsOf(layer);
  const stretches = stretchesOf(matrix);
  const { basis, rows } = tf.tidy(() => laidOut(matrix, stretches));
  const pieces = stretches.map((stretch, i) => ({ ...stretch, rows: rows[i]! }));
  return {
    async find(x, k) {
      check(x, k, matrix);
      const factors = tf.tidy(() => [...matrix.leftFactors(x, basis, true)]);
      try {
        return await best(pieces, x.shape[0], k, labels, ({ block, rows }) =>
          tf.matMul(factors[block]!, rows),
        );
      } finally {
        disposeAllBut(x, factors);
      }
    },
    dispose: () => tf.dispose([basis, rows]),
  };
}

/** Transposed: a product with a right factor as it lies is the fastest on every backend. */
function laidOut(matrix: BlockMatrix, stretches: readonly Stretch[]) {
  const basis = matrix.basis();
  return {
    basis: basis && tf.transpose(basis),
    rows: stretches.map(({ block, begin, size }) =>
      tf.transpose(matrix.rowsOf(block, begin, size)),
    ),
  };
}

function stretchesOf({ blocks }: BlockMatrix): readonly Stretch[] {
  return blocks.flatMap(({ begin: first, rows }, block) =>
    Array.from({ length: Math.ceil(rows / CHUNK) }, (_, i) => {
      const begin = i * CHUNK;
      return { block, begin, size: Math.min(CHUNK, rows - begin), position: first + begin };
    }),
  );
}

/** The best of all stretches, one after the other. */
async function best<S extends Stretch>(
  stretches: readonly S[],
  rows: number,
  k: number,
  { bias, words }: Labels,
  scoresOf: (stretch: S) => Tensor2D,
): Promise<TopK> {
  const found = Array.from({ length: rows }, () => new BestScores(k));
  for (const stretch of stretches) {
    const scores = tf.tidy(() => scoresOf(stretch));
    const data = await scores.data<'float32'>();
    scores.dispose();
    const { size, position } = stretch;
    found.forEach((each, row) => each.offer(data, row * size, size, position, bias, words));
  }
  const values = new Float32Array(rows * k);
  const indices = new Int32Array(rows * k);
  found.forEach((each, row) => {
    values.set(each.values, row * k);
    indices.set(each.words, row * k);
  });
  return { k, values, indices };
}

async function labelsOf({ matrix, bias }: BlockLowRankDense): Promise<Labels> {
  const positions = await matrix.index?.data();
  const given = await bias?.data<'float32'>();
  if (!positions) return { bias: given ?? new Float32Array(matrix.words), words: undefined };
  const words = new Int32Array(matrix.words);
  positions.forEach((position, word) => (words[position] = word));
  return { bias: Float32Array.from(words, (word) => given?.[word] ?? 0), words };
}

/** A dense block's left factor is the caller's `x`. */
function disposeAllBut(x: Tensor2D, factors: readonly Tensor2D[]): void {
  tf.dispose(factors.filter((factor) => factor !== x));
}

function check(x: Tensor2D, k: number, { columns, words }: BlockMatrix): void {
  if (x.rank !== 2 || x.shape[1] !== columns) {
    throw new EspalierError('top-k/shape', {
      problem: `topK wants the layer's inputs, [rows, ${columns}]`,
      received: x,
    });
  }
  if (!Number.isInteger(k) || k < 1 || k > words) {
    throw new EspalierError('top-k/k', {
      problem: `k must be a whole number from 1 to ${words}`,
      received: k,
    });
  }
}
