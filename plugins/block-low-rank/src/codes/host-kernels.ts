import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { takeColumns } from '../layers/take-columns.js';
import { invert } from '../maths/rows.js';
import { cutIntoChunks, listChunks, project, readChunk, spread } from './block-products.js';
import type { BlockReader } from './coefficients.js';
import { decodeRows, findBlock } from './decode.js';
import type { BlockTables } from './decode.js';
import { findTables, writeFromCodes } from './host-memory.js';
import type { BlockCodesTensors, CodedFormat } from './host-memory.js';
import type { BlockCodesLayout } from './layout.js';
import { paysToTabulate, scoreByTables } from './score-by-tables.js';

/** Multiplications for each block from which on products of matrices are faster than a loop on wasm, as measured. */
const MANY = 2 ** 16;

/** Rows by number as `[n, columns]`: by a loop where they are few, by products of matrices otherwise. */
export function decodeOnHost(
  parts: BlockCodesTensors,
  ids: Int32Array,
  format: CodedFormat,
): Tensor2D {
  const { layout } = format;
  const tables = findTables(format, parts);
  if (paysToMultiply(ids.length, layout)) return decodeByProducts(parts, ids, layout, tables);
  return writeFromCodes([ids.length, layout.columns], parts.codes, (target, codes) =>
    decodeRows(target, codes, layout, tables, ids),
  );
}

/** Never on the cpu backend, whose products are loops too. */
function paysToMultiply(count: number, { blocks, rows, columns }: BlockCodesLayout): boolean {
  if (tf.getBackend() === 'cpu') return false;
  const coded = blocks.filter(({ basis }) => basis !== 'none');
  const coefficients = coded.reduce((sum, block) => sum + block.rows * block.directions.length, 0);
  return count * (coefficients / rows) * columns >= MANY * blocks.length;
}

function decodeByProducts(
  parts: BlockCodesTensors,
  ids: Int32Array,
  layout: BlockCodesLayout,
  { readers, positions }: BlockTables,
): Tensor2D {
  return tf.tidy(() => {
    const places = positions ? ids.map((id) => positions[id]!) : ids;
    const { order, groups } = groupByBlock(places, layout);
    const decoded = readers.flatMap((reader, p) =>
      cutIntoChunks(groups[p]!, reader).map((rows) =>
        tf.tidy(() => decodeChunk(parts, rows, reader, layout.columns)),
      ),
    );
    const all = join(decoded, 0);
    if (order.every((i, k) => i === k)) return all;
    return tf.gather(all, tf.tensor1d(invert(order), 'int32'));
  });
}

/** By block: numbers within the block of the rows at these places, and which of the places they are. */
function groupByBlock(places: Int32Array, { blocks }: BlockCodesLayout) {
  const lists = blocks.map((): number[] => []);
  places.forEach((place, i) => lists[findBlock(blocks, place)]!.push(i));
  const groups = lists.map((list, p) =>
    Int32Array.from(list, (i) => places[i]! - blocks[p]!.begin),
  );
  return { groups, order: Int32Array.from(lists.flat()) };
}

function decodeChunk(
  parts: BlockCodesTensors,
  rows: Int32Array,
  reader: BlockReader,
  columns: number,
): Tensor2D {
  if (reader.count === 0) return tf.zeros([rows.length, columns]);
  return spread(readChunk(parts, rows, reader), reader, columns);
}

/** Products of each `x` `[n, columns]` with each row: `[n, rows]`. No row is decoded. */
export function scoreOnHost(parts: BlockCodesTensors, x: Tensor2D, format: CodedFormat): Tensor2D {
  const { readers, positions } = findTables(format, parts);
  return tf.tidy(() => {
    const scores = join(
      readers.map((reader) => scoreBlock(parts, x, reader)),
      1,
    );
    return positions ? takeColumns(scores, tf.tensor1d(positions, 'int32')) : scores;
  });
}

function scoreBlock(parts: BlockCodesTensors, x: Tensor2D, reader: BlockReader): Tensor2D {
  const { count, block } = reader;
  if (count === 0) return tf.zeros([x.shape[0], block.rows]);
  const projected = project(x, reader);
  if (paysToTabulate(x.shape[0], reader)) return scoreByTables(parts, projected, reader);
  const scores = listChunks(reader).map((rows) =>
    tf.tidy(() => tf.matMul<Tensor2D>(projected, readChunk(parts, rows, reader), false, true)),
  );
  return join(scores, 1);
}

/** The transpose of {@link scoreOnHost}: sums of the rows, weighted by each `v` `[n, rows]`: `[n, columns]`. */
export function sumOnHost(parts: BlockCodesTensors, v: Tensor2D, format: CodedFormat): Tensor2D {
  const { readers, positions } = findTables(format, parts);
  const { columns } = format.layout;
  return tf.tidy(() => {
    const ordered = positions ? takeColumns(v, tf.tensor1d(invert(positions), 'int32')) : v;
    const sums = readers
      .filter(({ count }) => count > 0)
      .map((reader) => spread(sumBlock(parts, ordered, reader), reader, columns));
    return sums.length > 0 ? tf.addN(sums) : tf.zeros([v.shape[0], columns]);
  });
}

/** Sums of a block's coefficients: `[n, count]`. */
function sumBlock(parts: BlockCodesTensors, v: Tensor2D, reader: BlockReader): Tensor2D {
  const { begin } = reader.block;
  const sums = listChunks(reader).map((rows) =>
    tf.tidy(() => {
      const own = tf.slice2d(v, [0, begin + rows[0]!], [v.shape[0], rows.length]);
      return tf.matMul<Tensor2D>(own, readChunk(parts, rows, reader));
    }),
  );
  return tf.addN(sums);
}

function join(parts: readonly Tensor2D[], axis: 0 | 1): Tensor2D {
  return parts.length === 1 ? parts[0]! : tf.concat2d([...parts], axis);
}
