import { EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BlockMatrix } from '../layers/block-matrix.js';
import type { BlockLowRankDense } from '../layers/layers.js';
import { BestScores } from './best-scores.js';
import { computeLeftFactors } from './left-factors.js';
import type { LeftFactor } from './left-factors.js';
import { prepareChunk, prepareChunkWithBound, listChunks, readWords } from './row-chunks.js';
import type { PreparedChunk } from './row-chunks.js';
import { largestScore } from './score-bound.js';

/** The best units of every row. */
export interface TopK {
  readonly k: number;
  /** `[rows, k]`, falling in each row. */
  readonly values: Float32Array;
  /** Unit numbers, `[rows, k]`; of equal scores the one found first; −1 where NaN leaves too few. */
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
  const words = await readWords(matrix);
  const basis = tf.tidy(() => transposeBasis(matrix.basis()));
  try {
    const best = new BestOfRows(await computeLeftFactors(matrix, x, basis), x.shape[0], k, words);
    for (const stretch of listChunks(matrix)) {
      const made = prepareChunk(layer, stretch, words);
      try {
        await best.among(made);
      } finally {
        made.rows.dispose();
      }
    }
    return best.found();
  } finally {
    basis?.dispose();
  }
}

/**
 * Makes a layer ready for many searches with the weights that it has now: its factors are decoded
 * and laid out for the product, which takes as many bytes as the factors and the bias in float32. Rows
 * are not computed where their lengths say that none is among the best, which changes no result. A
 * search is to be disposed, and to be made anew where the layer has trained on.
 *
 * @example
 * const search = await topKSearch(model.getLayer('softmax') as BlockLowRankDense);
 * const { indices } = await search.find(hidden, 10);
 * search.dispose();
 */
export async function topKSearch(layer: BlockLowRankDense): Promise<TopKSearch> {
  const { matrix } = layer;
  const words = await readWords(matrix);
  const basis = tf.tidy(() => transposeBasis(matrix.basis()));
  const stretches: PreparedChunk[] = [];
  for (const stretch of listChunks(matrix)) {
    stretches.push(await prepareChunkWithBound(layer, stretch, words));
  }
  return {
    async find(x, k) {
      check(x, k, matrix);
      const best = new BestOfRows(await computeLeftFactors(matrix, x, basis), x.shape[0], k, words);
      for (const stretch of stretches) await best.among(stretch);
      return best.found();
    },
    dispose: () => tf.dispose([...(basis ? [basis] : []), ...stretches.map(({ rows }) => rows)]),
  };
}

function transposeBasis(basis: Tensor2D | undefined): Tensor2D | undefined {
  return basis && tf.transpose(basis);
}

/** The best of every row of inputs among the stretches seen so far. */
class BestOfRows {
  readonly #rows: readonly BestScores[];

  constructor(
    private readonly left: readonly LeftFactor[],
    rows: number,
    private readonly k: number,
    private readonly words: Int32Array | undefined,
  ) {
    this.#rows = Array.from({ length: rows }, () => new BestScores(k));
  }

  /** Looks through a stretch, for those rows of inputs that may find better in it. */
  async among({ block, rows, bound, size, position }: PreparedChunk): Promise<void> {
    const left = this.left[block]!;
    const open = [...this.#rows.keys()].filter(
      (row) => !(largestScore(bound, left.lengths[row]!) <= this.#rows[row]!.least),
    );
    if (open.length === 0) return;
    const scores = tf.tidy(() => tf.matMul<Tensor2D>(left.pick(open, rows.shape[0]), rows));
    const data = viewHeap(scores) ?? (await scores.data<'float32'>());
    open.forEach((row, i) => {
      this.#rows[row]!.offer(data, i * size, size, position, this.words);
    });
    scores.dispose();
  }

  found(): TopK {
    const { k } = this;
    const values = new Float32Array(this.#rows.length * k);
    const indices = new Int32Array(this.#rows.length * k);
    this.#rows.forEach((best, row) => {
      values.set(best.values, row * k);
      indices.set(best.words, row * k);
    });
    return { k, values, indices };
  }
}

/** Wasm only: the numbers where they lie, until the next operation. */
function viewHeap(scores: Tensor2D): Float32Array | undefined {
  const backend = tf.backend() as { typedArrayFromHeap?: (tensor: Tensor2D) => Float32Array };
  return backend.typedArrayFromHeap?.(scores);
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
