import { EspalierError } from '@espalier/core';
import { makeReader, readCoefficients } from './coefficients.js';
import type { BlockReader } from './coefficients.js';
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
  /** Of each block. */
  readonly readers: readonly BlockReader[];
  /** Position of each row in the order of blocks; absent: they are in that order. */
  readonly positions?: Int32Array;
}

/**
 * Works the tables out.
 *
 * @throws EspalierError `block-codes/map` where the map gives a block more rows than it has.
 */
export function prepareTables(layout: BlockCodesLayout, weights: BlockCodesWeights): BlockTables {
  const ranges = weights.ranges as Float32Array;
  const scales = decodeScales(layout, weights.scales as Int32Array | undefined, ranges);
  const basis = decodeBasis(layout, weights.basis as Int32Array | undefined);
  const lengths = ({ lengths: bits }: CodedBlock, p: number) =>
    bits === undefined ? undefined : lengthTable(ranges, p, bits);
  return {
    ...{ basis, scales },
    readers: layout.blocks.map((block, p) =>
      makeReader(block, { basis, columns: layout.columns }, scales, lengths(block, p)),
    ),
    ...(layout.mapBits > 0 && { positions: placeRows(layout, weights.map as Int32Array) }),
  };
}

/** Rows of a basis from signed bytes: only their direction counts. A row of zeros stays one. */
export function decodeBasis(
  { basisRows, columns }: Pick<BlockCodesLayout, 'basisRows' | 'columns'>,
  words: Int32Array | undefined,
): Float32Array {
  const basis = Float32Array.from(unpackBytes(words ?? new Int32Array(0), basisRows * columns));
  for (let row = 0; row < basisRows; row++) {
    const values = basis.subarray(row * columns, (row + 1) * columns);
    const length = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
    for (let j = 0; j < columns; j++) values[j]! /= length || 1;
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
  const positions = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    positions[row] = next[readCode(map, 0, mapBits, row, 0, mapBits)]!++;
  }
  // The rows of all blocks are as many as those of the matrix: where one has too many, another has too few.
  const wrong = blocks.findIndex(({ begin, rows: own }, p) => next[p] !== begin + own);
  if (wrong < 0) return positions;
  throw new EspalierError('block-codes/map', {
    problem: `the map gives block ${wrong} of a matrix in block codes another number of rows than the block has`,
    received: { mapped: next[wrong]! - blocks[wrong]!.begin, rows: blocks[wrong]!.rows },
    fix: 'Take config and weights together, as codeMatrix or the artifact gives them.',
  });
}

/**
 * Decodes rows by number into `target` `[ids.length, columns]`; only their codes are read.
 *
 * @param ids Each from 0 to `rows − 1`.
 */
export function decodeRows(
  target: Float32Array,
  codes: Int32Array,
  { blocks, columns }: BlockCodesLayout,
  { readers, positions }: BlockTables,
  ids: ArrayLike<number>,
): void {
  const coefficients = new Float32Array(Math.max(...readers.map(({ count }) => count)));
  target.fill(0);
  for (let i = 0; i < ids.length; i++) {
    const position = positions ? positions[ids[i]!]! : ids[i]!;
    const p = findBlock(blocks, position);
    readCoefficients(coefficients, 0, codes, readers[p]!, position - blocks[p]!.begin);
    addDirections(target, i * columns, coefficients, readers[p]!, columns);
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

/** Adds coefficients × directions to a row of `target`, four directions at a time. */
function addDirections(
  target: Float32Array,
  to: number,
  coefficients: Float32Array,
  { count, directions, targets }: BlockReader,
  columns: number,
): void {
  if (!directions) {
    for (let k = 0; k < count; k++) target[to + targets[k]!]! += coefficients[k]!;
    return;
  }
  const end = to + columns;
  let k = 0;
  for (; k + 4 <= count; k += 4) {
    let a = k * columns;
    let b = a + columns;
    let c = b + columns;
    let d = c + columns;
    const u = coefficients[k]!;
    const v = coefficients[k + 1]!;
    const w = coefficients[k + 2]!;
    const x = coefficients[k + 3]!;
    for (let j = to; j < end; j++) {
      target[j]! +=
        u * directions[a++]! + v * directions[b++]! + w * directions[c++]! + x * directions[d++]!;
    }
  }
  for (; k < count; k++) {
    const u = coefficients[k]!;
    let from = k * columns;
    for (let j = to; j < end; j++) target[j]! += u * directions[from++]!;
  }
}
