import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { readCoefficients } from './coefficients.js';
import type { BlockReader } from './coefficients.js';
import { writeFromCodes } from './host-memory.js';
import type { BlockCodesTensors } from './host-memory.js';

/** Coefficients made at once. */
const CHUNK = 2 ** 16;

/** Rows of a block in pieces whose coefficients are made at once. */
export function cutIntoChunks(rows: Int32Array, { count }: BlockReader): readonly Int32Array[] {
  const size = Math.ceil(CHUNK / Math.max(1, count));
  const pieces = Math.ceil(rows.length / size);
  return Array.from({ length: pieces }, (_, i) => rows.subarray(i * size, (i + 1) * size));
}

/** All rows of a block, in pieces. */
export function listChunks(reader: BlockReader): readonly Int32Array[] {
  const all = Int32Array.from({ length: reader.block.rows }, (_, row) => row);
  return cutIntoChunks(all, reader);
}

/** Coefficients of rows of a block: `[n, count]`. */
export function readChunk(
  { codes }: BlockCodesTensors,
  rows: Int32Array,
  reader: BlockReader,
): Tensor2D {
  const { count } = reader;
  return writeFromCodes([rows.length, count], codes, (target, words) => {
    for (let i = 0; i < rows.length; i++) {
      readCoefficients(target, i * count, words, reader, rows[i]!);
    }
  });
}

/** Coefficients `[n, count]` times the directions: `[n, columns]`. */
export function spread(
  coefficients: Tensor2D,
  { count, directions, targets }: BlockReader,
  columns: number,
): Tensor2D {
  if (directions) return tf.matMul(coefficients, tf.tensor2d(directions, [count, columns]));
  if (areAll(targets, columns)) return coefficients;
  return tf.matMul(coefficients, pickColumns(targets, columns));
}

/** Whether these are all columns, in their order. */
function areAll(targets: Int32Array, columns: number): boolean {
  return targets.length === columns && targets.every((target, k) => target === k);
}

/** A row for each of these columns, with a one there: `[targets, columns]`. */
export function pickColumns(targets: Int32Array, columns: number): Tensor2D {
  const all = tf.range(0, columns, 1, 'int32');
  const own = tf.tensor2d(targets, [targets.length, 1], 'int32');
  return tf.cast(tf.equal<Tensor2D>(own, all), 'float32');
}

/** `x` `[n, columns]` times each direction: `[n, count]`. */
export function project(x: Tensor2D, { count, directions, targets }: BlockReader): Tensor2D {
  if (!directions) {
    return areAll(targets, x.shape[1]) ? x : tf.gather(x, tf.tensor1d(targets, 'int32'), 1);
  }
  return tf.matMul(x, tf.tensor2d(directions, [count, x.shape[1]]), false, true);
}
