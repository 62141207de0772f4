import { EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BlockLowRankDense } from './layers.js';

/** The best units of every row. */
export interface TopK {
  readonly k: number;
  /** `[rows, k]`, falling in each row. */
  readonly values: Float32Array;
  /** Unit numbers, `[rows, k]`; of equal scores the one found first. */
  readonly indices: Int32Array;
}

/** Rows of a block whose scores are there at a time. */
const CHUNK = 8192;

/**
 * The `k` largest scores (bias included, before any activation) of a factorised dense layer and
 * which units they belong to. At most `rows × 8192` scores exist at a time.
 *
 * @param x `[rows, inputs]`.
 * @throws EspalierError `top-k/k`, `top-k/shape`.
 * @example
 * const { indices } = await topK(model.getLayer('softmax') as BlockLowRankDense, hidden, 10);
 */
export async function topK(layer: BlockLowRankDense, x: Tensor2D, k: number): Promise<TopK> {
  const { matrix } = layer;
  check(x, k, matrix);
  const [rows] = x.shape;
  const words = await wordsByPosition(matrix.index);
  const bias = (await layer.bias?.data()) as Float32Array | undefined;
  const best = Array.from({ length: rows }, () => new Best(k));
  const coefficients = tf.tidy(() => matrix.coefficients(x));
  try {
    for (const [p, block] of matrix.blocks.entries()) {
      for (let begin = 0; begin < block.rows; begin += CHUNK) {
        const size = Math.min(CHUNK, block.rows - begin);
        const scores = tf.tidy(() => matrix.scoresIn(x, coefficients, p, begin, size));
        const data = await scores.data();
        scores.dispose();
        best.forEach((each, row) => {
          each.offer(data as Float32Array, row * size, size, block.begin + begin, words, bias);
        });
      }
    }
  } finally {
    coefficients?.dispose();
  }
  const values = new Float32Array(rows * k);
  const indices = new Int32Array(rows * k);
  best.forEach((each, row) => {
    values.set(each.values, row * k);
    indices.set(each.words, row * k);
  });
  return { k, values, indices };
}

/** The best so far of one row, in falling order. */
class Best {
  readonly values: Float32Array;
  readonly words: Int32Array;

  constructor(k: number) {
    this.values = new Float32Array(k).fill(-Infinity);
    this.words = new Int32Array(k);
  }

  offer(
    scores: Float32Array,
    from: number,
    size: number,
    position: number,
    words: Int32Array | undefined,
    bias: Float32Array | undefined,
  ): void {
    const last = this.values.length - 1;
    for (let i = 0; i < size; i++) {
      const word = words ? words[position + i]! : position + i;
      const score = bias ? Math.fround(scores[from + i]! + bias[word]!) : scores[from + i]!;
      if (score > this.values[last]!) this.#insert(score, word);
    }
  }

  #insert(score: number, word: number): void {
    let place = this.values.length - 1;
    for (; place > 0 && this.values[place - 1]! < score; place--) {
      this.values[place] = this.values[place - 1]!;
      this.words[place] = this.words[place - 1]!;
    }
    this.values[place] = score;
    this.words[place] = word;
  }
}

async function wordsByPosition(index: tf.Tensor1D | undefined): Promise<Int32Array | undefined> {
  const positions = await index?.data();
  if (!positions) return undefined;
  const words = new Int32Array(positions.length);
  positions.forEach((position, word) => (words[position] = word));
  return words;
}

function check(x: Tensor2D, k: number, { columns, words }: BlockLowRankDense['matrix']): void {
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
