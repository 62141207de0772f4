import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { BlockMatrix } from '../layers/block-matrix.js';
import type { BlockLowRankDense } from '../layers/layers.js';
import { scoreBound, UNBOUNDED } from './score-bound.js';
import type { ScoreBound } from './score-bound.js';

/** Rows of a block whose scores are there at a time. */
const SIZE = 8192;

/** A stretch of a block's rows. */
export interface RowChunk {
  readonly block: number;
  /** Its first row in the block. */
  readonly begin: number;
  readonly size: number;
  /** Position of that row among all. */
  readonly position: number;
}

/** A stretch with its rows as a product wants them. */
export interface PreparedChunk extends RowChunk {
  /** `[rank or columns, size]`, and a last row of biases if the layer has a bias. */
  readonly rows: Tensor2D;
  readonly bound: ScoreBound;
}

/** All rows, in the order of their positions. */
export function listChunks({ blocks }: BlockMatrix): readonly RowChunk[] {
  return blocks.flatMap(({ begin: first, rows }, block) =>
    Array.from({ length: Math.ceil(rows / SIZE) }, (_, i) => {
      const begin = i * SIZE;
      return { block, begin, size: Math.min(SIZE, rows - begin), position: first + begin };
    }),
  );
}

/** Unit numbers by position; none where positions are unit numbers. */
export async function readWords({ index, words }: BlockMatrix): Promise<Int32Array | undefined> {
  const positions = await index?.data();
  if (!positions) return undefined;
  const found = new Int32Array(words);
  positions.forEach((position, word) => (found[position] = word));
  return found;
}

/**
 * A stretch for one product. Transposed: a product with a right factor as it lies is the fastest on
 * every backend.
 */
export function prepareChunk(
  layer: BlockLowRankDense,
  stretch: RowChunk,
  words: Int32Array | undefined,
): PreparedChunk {
  const rows = tf.tidy(() => laidOut(sliceChunk(layer, stretch), sliceBias(layer, stretch, words)));
  return { ...stretch, rows, bound: UNBOUNDED };
}

/** A stretch for many products, which need not be computed where the bound says that none is good. */
export async function prepareChunkWithBound(
  layer: BlockLowRankDense,
  stretch: RowChunk,
  words: Int32Array | undefined,
): Promise<PreparedChunk> {
  const { rows, squares, bias } = tf.tidy(() => {
    const given = sliceChunk(layer, stretch);
    const bias = sliceBias(layer, stretch, words);
    return { rows: laidOut(given, bias), squares: tf.sum(tf.square(given), 1), bias };
  });
  const [lengths, biases] = await Promise.all([squares.data<'float32'>(), bias?.data<'float32'>()]);
  tf.dispose([squares, ...(bias ? [bias] : [])]);
  // Sums in float16 are off by more than a bound that is of any use.
  const bound = tf.backend().floatPrecision() === 32 ? scoreBound(lengths, biases) : UNBOUNDED;
  return { ...stretch, rows, bound };
}

function sliceChunk({ matrix }: BlockLowRankDense, { block, begin, size }: RowChunk): Tensor2D {
  return matrix.sliceRows(block, begin, size);
}

/** By position. */
function sliceBias(
  { bias }: BlockLowRankDense,
  { position, size }: RowChunk,
  words: Int32Array | undefined,
): Tensor1D | undefined {
  if (!bias || !words) return bias && tf.slice1d(bias, position, size);
  return tf.gather(bias, tf.tensor1d(words.subarray(position, position + size), 'int32'));
}

function laidOut(rows: Tensor2D, bias: Tensor1D | undefined): Tensor2D {
  const transposed = tf.transpose(rows);
  return bias ? tf.concat2d([transposed, tf.reshape(bias, [1, -1])], 0) : transposed;
}
