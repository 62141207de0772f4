import type { Matrix } from '@espalier/linalg';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { layers } from '@tensorflow/tfjs-layers';
import { findRows } from './row-source.js';
import { readStorages } from './storable-matrices.js';

/**
 * A layer that holds one row for each word or unit, in whatever form: what it computes with can be
 * read row by row. Of a dense layer the rows are those of its kernel, transposed.
 */
export interface RowDecoder {
  /** Rows by word id `[n]`, int32: float32 `[n, columns]`; used inside `tf.tidy`. */
  decodeRows(ids: Tensor1D): Tensor2D;
}

/** Rows decoded at once. */
const CHUNK = 8192;

/**
 * Whether a layer can be read row by row.
 *
 * @example
 * if (isRowDecoder(layer)) rows = layer.decodeRows(ids);
 */
export function isRowDecoder(layer: object): layer is RowDecoder {
  return typeof (layer as Partial<RowDecoder>).decodeRows === 'function';
}

/**
 * The word matrix of a built layer, read back: of a plain Embedding or Dense, or of one that
 * {@link RowDecoder}; `undefined` for other layers.
 *
 * @param words How many rows it has.
 * @returns the matrix `[words, columns]` on the host.
 * @example
 * const matrix = await readRows(model.getLayer('embedding'), 10_000);
 */
export async function readRows(layer: layers.Layer, words: number): Promise<Matrix | undefined> {
  const read = rowReader(layer);
  if (!read) return undefined;
  const parts: Float32Array[] = [];
  for (let begin = 0; begin < words; begin += CHUNK) {
    parts.push(await read(begin, Math.min(begin + CHUNK, words)));
  }
  return joinRows(parts, words);
}

/**
 * A function that reads rows `begin` to `end`, exclusive, of a layer's word matrix; see {@link readRows}.
 *
 * @example
 * const read = rowReader(model.getLayer('embedding'));
 * const first = await read?.(0, 100); // Float32Array, row-major
 */
export function rowReader(
  layer: layers.Layer,
): ((begin: number, end: number) => Promise<Float32Array>) | undefined {
  const source = Object.values(readStorages({ config: layer.getConfig() }) ?? {}).map(findRows)[0];
  if (source) return async (begin, end) => source.readRows(begin, end);
  const decode = findDecoder(layer);
  if (!decode) return undefined;
  return async (begin, end) => {
    const rows = tf.tidy(() => decode(tf.range(begin, end, 1, 'int32')));
    try {
      return (await rows.data()) as Float32Array;
    } finally {
      rows.dispose();
    }
  };
}

function findDecoder(layer: layers.Layer): RowDecoder['decodeRows'] | undefined {
  if (isRowDecoder(layer)) return (ids) => layer.decodeRows(ids);
  const read = () => layer.weights[0]!.read() as Tensor2D;
  const className = layer.getClassName();
  if (className === 'Embedding') return (ids) => tf.gather(read(), ids);
  if (className === 'Dense') return (ids) => tf.transpose(tf.gather(read(), ids, 1));
  return undefined;
}

function joinRows(parts: readonly Float32Array[], rows: number): Matrix {
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  const data = new Float32Array(size);
  let begin = 0;
  for (const part of parts) {
    data.set(part, begin);
    begin += part.length;
  }
  return { data, rows, columns: size / rows };
}
