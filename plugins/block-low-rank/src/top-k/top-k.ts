import { StoredDense, StoredTiedDense } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { BlockLowRankDense } from '../layers/layers.js';
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

/** Layers that can be searched: of low rank in blocks, or with a matrix in any storage, such as codes. */
export type SearchableLayer = BlockLowRankDense | StoredDense | StoredTiedDense;

/**
 * The `k` largest scores (bias included, before any activation) of a compressed dense layer and which units they belong
 * to. At most `rows × 8192` scores exist at a time where the layer is of low rank, else 2²² or those of one row. Codes of
 * factors are decoded in every call: for many calls see {@link topKSearch}. Other codes are computed on.
 *
 * @param x `[rows, inputs]`.
 * @throws EspalierError `top-k/layer`, `top-k/k`, `top-k/shape`.
 * @example
 * const { indices } = await topK(model.getLayer('softmax') as SearchableLayer, hidden, 10);
 */
export async function topK(layer: SearchableLayer, x: Tensor2D, k: number): Promise<TopK> {
  if (!(layer instanceof BlockLowRankDense)) return findAmongScores(layer, x, k);
  const { matrix } = layer;
  check(x, k, [matrix.columns, matrix.words]);
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
 * Makes a layer ready for many searches with the weights that it has now. Where it is of low rank, its factors are
 * decoded and laid out for the product, which takes as many bytes as the factors and the bias in float32. Rows
 * are not computed where their lengths say that none is among the best, which changes no result. A
 * search is to be disposed, and to be made anew where the layer has trained on.
 *
 * @throws EspalierError `top-k/layer`.
 * @example
 * const search = await topKSearch(model.getLayer('softmax') as SearchableLayer);
 * const { indices } = await search.find(hidden, 10);
 * search.dispose();
 */
export async function topKSearch(layer: SearchableLayer): Promise<TopKSearch> {
  if (!(layer instanceof BlockLowRankDense)) {
    checkLayer(layer);
    return { find: (x, k) => findAmongScores(layer, x, k), dispose: () => undefined };
  }
  const { matrix } = layer;
  const words = await readWords(matrix);
  const basis = tf.tidy(() => transposeBasis(matrix.basis()));
  const stretches: PreparedChunk[] = [];
  for (const stretch of listChunks(matrix)) {
    stretches.push(await prepareChunkWithBound(layer, stretch, words));
  }
  return {
    async find(x, k) {
      check(x, k, [matrix.columns, matrix.words]);
      const best = new BestOfRows(await computeLeftFactors(matrix, x, basis), x.shape[0], k, words);
      for (const stretch of stretches) await best.among(stretch);
      return best.found();
    },
    dispose: () => tf.dispose([...(basis ? [basis] : []), ...stretches.map(({ rows }) => rows)]),
  };
}

/** Scores that are there at a time, but for those of one row. */
const SCORES = 2 ** 22;

async function findAmongScores(
  layer: StoredDense | StoredTiedDense,
  x: Tensor2D,
  k: number,
): Promise<TopK> {
  checkLayer(layer);
  const { shape } = layer.matrix;
  const [inputs, units] = layer instanceof StoredDense ? shape : [shape[1], shape[0]];
  check(x, k, [inputs, units]);
  const found: BestScores[] = [];
  const size = Math.max(1, Math.floor(SCORES / units));
  for (let begin = 0; begin < x.shape[0]; begin += size) {
    const rows = Math.min(size, x.shape[0] - begin);
    const scores = tf.tidy(() => layer.scores(tf.slice2d(x, [begin, 0], [rows, inputs])));
    const data = await readScores(scores);
    for (let row = 0; row < rows; row++) {
      const best = new BestScores(k);
      best.offer(data, row * units, units, 0, undefined);
      found.push(best);
    }
    scores.dispose();
  }
  return collectBest(found, k);
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
    const data = await readScores(scores);
    open.forEach((row, i) => {
      this.#rows[row]!.offer(data, i * size, size, position, this.words);
    });
    scores.dispose();
  }

  found(): TopK {
    return collectBest(this.#rows, this.k);
  }
}

function collectBest(rows: readonly BestScores[], k: number): TopK {
  const values = new Float32Array(rows.length * k);
  const indices = new Int32Array(rows.length * k);
  rows.forEach((best, row) => {
    values.set(best.values, row * k);
    indices.set(best.words, row * k);
  });
  return { k, values, indices };
}

/** On wasm the numbers where they lie, until the next operation. */
async function readScores(scores: Tensor2D): Promise<Float32Array> {
  const backend = tf.backend() as { typedArrayFromHeap?: (tensor: Tensor2D) => Float32Array };
  return backend.typedArrayFromHeap?.(scores) ?? scores.data<'float32'>();
}

function checkLayer(layer: StoredDense | StoredTiedDense): void {
  if (layer instanceof StoredDense || layer instanceof StoredTiedDense) return;
  throw new EspalierError('top-k/layer', {
    problem: 'topK wants a dense layer that block-low-rank, block-codes or quantizer has changed',
    received: (layer as { getClassName?: () => string }).getClassName?.() ?? layer,
    fix: 'For a plain dense layer use tf.topk of its scores.',
  });
}

function check(x: Tensor2D, k: number, [inputs, units]: readonly [number, number]): void {
  if (x.rank !== 2 || x.shape[1] !== inputs) {
    throw new EspalierError('top-k/shape', {
      problem: `topK wants the layer's inputs, [rows, ${inputs}]`,
      received: x,
    });
  }
  if (!Number.isInteger(k) || k < 1 || k > units) {
    throw new EspalierError('top-k/k', {
      problem: `k must be a whole number from 1 to ${units}`,
      received: k,
    });
  }
}
