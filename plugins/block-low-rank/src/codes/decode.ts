import { normalLevels } from '@espalier/compression';
import { RANGES } from './layout.js';
import type { BlockCodesLayout, BlockCodesPart, CodedBlock } from './layout.js';
import { readCode, unpackBytes } from './row-bits.js';

/** The parts of a matrix in codes of blocks, by name. */
export type BlockCodesWeights = Readonly<
  Partial<Record<BlockCodesPart, Int32Array | Float32Array>>
>;

/** What the frozen parts stand for, worked out once for many look-ups. */
export interface BlockTables {
  /** `[basis rows, columns]`: each row of length 1. */
  readonly basis: Float32Array;
  /** By number of the scale. */
  readonly scales: Float32Array;
  /** Of each block `[2^lengths]`: what a code of a length stands for; the first is 0. */
  readonly lengths: readonly (Float32Array | undefined)[];
  /** Position of each row in the order of blocks; absent: they are in that order. */
  readonly positions?: Int32Array;
}

/** Works the tables out. */
export function prepareTables(layout: BlockCodesLayout, weights: BlockCodesWeights): BlockTables {
  const ranges = weights.ranges as Float32Array;
  return {
    basis: decodeBasis(layout, weights.basis as Int32Array | undefined),
    scales: decodeScales(layout, weights.scales as Int32Array | undefined, ranges),
    lengths: layout.blocks.map(({ lengths }, p) =>
      lengths ? lengthTable(ranges, p, lengths) : undefined,
    ),
    ...(layout.mapBits > 0 && { positions: placeRows(layout, weights.map as Int32Array) }),
  };
}

/** Rows of a basis from signed bytes: only their direction counts. */
export function decodeBasis(
  { basisRows, columns }: Pick<BlockCodesLayout, 'basisRows' | 'columns'>,
  words: Int32Array | undefined,
): Float32Array {
  const basis = Float32Array.from(unpackBytes(words ?? new Int32Array(0), basisRows * columns));
  for (let row = 0; row < basisRows; row++) {
    const values = basis.subarray(row * columns, (row + 1) * columns);
    const length = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
    for (let j = 0; j < columns; j++) values[j]! /= length;
  }
  return basis;
}

function decodeScales(
  { blocks }: BlockCodesLayout,
  words: Int32Array | undefined,
  ranges: Float32Array,
): Float32Array {
  const all = blocks.flatMap(({ directions }, p) => directions.map(({ scale }) => ({ scale, p })));
  const codes = unpackBytes(words ?? new Int32Array(0), all.length);
  return Float32Array.from(all, ({ scale, p }) => scaleOf(ranges, p, codes[scale]! & 255));
}

/** The scale that a code from 0 to 255 of block `p` stands for. */
export function scaleOf(ranges: Float32Array, p: number, code: number): number {
  return Math.exp(ranges[p * RANGES]! + ranges[p * RANGES + 1]! * code);
}

/** What codes of lengths of block `p` stand for; code 0 is a row of zeros. */
export function lengthTable(ranges: Float32Array, p: number, bits: number): Float32Array {
  const [low, step] = [ranges[p * RANGES + 2]!, ranges[p * RANGES + 3]!];
  return Float32Array.from({ length: 2 ** bits }, (_, code) =>
    code === 0 ? 0 : Math.exp(low + step * (code - 1)),
  );
}

/** Position of each row among the blocks: those of one block keep their order. */
function placeRows({ rows, blocks, mapBits }: BlockCodesLayout, map: Int32Array): Int32Array {
  const next = blocks.map(({ begin }) => begin);
  return Int32Array.from({ length: rows }, (_, row) => {
    return next[readCode(map, 0, mapBits, row, 0, mapBits)]!++;
  });
}

/** Levels of `bits` bits in float32. */
export const levelTable = (() => {
  const known: Float32Array[] = [];
  return (bits: number) => (known[bits] ??= Float32Array.from(normalLevels(bits).levels));
})();

/**
 * Decodes rows by number into `target` `[ids.length, columns]`; only their codes are read.
 *
 * @param ids Each from 0 to `rows − 1`.
 */
export function decodeRows(
  target: Float32Array,
  codes: Int32Array,
  { blocks, columns }: BlockCodesLayout,
  tables: BlockTables,
  ids: ArrayLike<number>,
): void {
  target.fill(0);
  for (let i = 0; i < ids.length; i++) {
    const position = tables.positions ? tables.positions[ids[i]!]! : ids[i]!;
    const p = findBlock(blocks, position);
    decodeRow(target, i * columns, codes, blocks[p]!, position - blocks[p]!.begin, {
      ...{ tables, columns, p },
    });
  }
}

/** The block that holds a position. */
export function findBlock(blocks: readonly CodedBlock[], position: number): number {
  let [low, high] = [0, blocks.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (blocks[middle]!.begin <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

function decodeRow(
  target: Float32Array,
  to: number,
  codes: Int32Array,
  { word, width, lengths = 0, directions, basis }: CodedBlock,
  row: number,
  { tables, columns, p }: { tables: BlockTables; columns: number; p: number },
): void {
  const length = lengths ? tables.lengths[p]![readCode(codes, word, width, row, 0, lengths)]! : 1;
  if (length === 0) return;
  for (const { bits, shift, target: at, scale } of directions) {
    const level = levelTable(bits)[readCode(codes, word, width, row, shift, bits)]!;
    const value = length * level * tables.scales[scale]!;
    if (basis === 'none') {
      target[to + at]! += value;
      continue;
    }
    const from = at * columns;
    for (let j = 0; j < columns; j++) target[to + j]! += value * tables.basis[from + j]!;
  }
}
