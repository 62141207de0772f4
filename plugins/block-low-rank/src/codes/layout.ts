import type { MatrixShape, StorageConfig } from '@espalier/compression';
import { EspalierError, parseOptions } from '@espalier/core';
import { z } from 'zod';
import { countTogether } from './codebooks.js';
import { countWords } from './row-bits.js';

/** The kind of {@link BlockCodesConfig}. */
export const BLOCK_CODES = 'block-codes';

const DIGITS = /^[0-9a]*$/;

const blockConfig = z.strictObject({
  /** Rows in the block. */
  rows: z.int().positive(),
  /** Bits of each direction, a hexadecimal digit each. Directions beyond the last digit have none. */
  bits: z.string().regex(DIGITS),
  /**
   * What the directions are: rows of the basis that are the block's `own`, those that blocks have in common
   * (`shared`), or the columns of the matrix (`none`).
   */
  basis: z.enum(['own', 'shared', 'none']),
  /** Bits of a row's length; absent: lengths have no codes of their own. */
  lengths: z.int().min(2).max(8).optional(),
});

const blockCodesConfig = z.strictObject({
  kind: z.literal(BLOCK_CODES),
  blocks: z.array(blockConfig).min(1).max(256),
  /** Rows of the shared basis; absent: there is none. */
  shared: z.int().positive().optional(),
  /** Whether rows are in another order than blocks; then a map says each row's block. */
  mapped: z.literal(true).optional(),
  /** Whether the codes are those of the transposed matrix: each column of the matrix is a coded row. */
  transposed: z.literal(true).optional(),
});

/** How a matrix is kept in codes of blocks: plain JSON, a `StorageConfig`. */
export type BlockCodesConfig = z.output<typeof blockCodesConfig>;
export type BlockConfig = z.output<typeof blockConfig>;

/** A direction of a block that has bits. */
export interface CodedDirection {
  readonly bits: number;
  /** Row of the basis, or column of the matrix where the block has no basis. */
  readonly target: number;
  /** Number of its scale. */
  readonly scale: number;
}

/** Directions of a block that share a code. */
export interface CodePiece {
  /** Bits of each direction. */
  readonly bits: number;
  /** The first of them, and how many. */
  readonly first: number;
  readonly count: number;
  /** Where the bits of the code begin in a row, and how many there are. */
  readonly shift: number;
  readonly width: number;
}

/** A block with where its parts are. */
export interface CodedBlock extends BlockConfig {
  /** Its first row, in the order of blocks. */
  readonly begin: number;
  /** First word of its codes. */
  readonly word: number;
  /** Bits of a row: first those of its length, then those of each piece. */
  readonly width: number;
  /** Those of most bits first; of equal bits in the order of the configuration. */
  readonly directions: readonly CodedDirection[];
  /** All directions, in their order. */
  readonly pieces: readonly CodePiece[];
}

/** A weight that holds a part; its name is the matrix's and this suffix. */
export type BlockCodesPart = 'codes' | 'basis' | 'scales' | 'ranges' | 'map';

/** What follows from a configuration and a shape. */
export interface BlockCodesLayout {
  readonly config: BlockCodesConfig;
  /** Rows and columns of what is coded: of a transposed matrix those of its transpose. */
  readonly rows: number;
  readonly columns: number;
  readonly blocks: readonly CodedBlock[];
  /** Rows of the basis: the shared ones first, then those of each block. */
  readonly basisRows: number;
  /** Bits of a row's entry in the map; 0: there is none. */
  readonly mapBits: number;
  /** Lengths of the parts: `ranges` in float32, the others in words of 32 bits. */
  readonly parts: Readonly<Partial<Record<BlockCodesPart, number>>>;
}

/**
 * What follows from a configuration and the shape of the matrix.
 *
 * @throws EspalierError `options/invalid`, `block-codes/config` for what is no such configuration.
 */
export function computeLayout(
  given: StorageConfig | BlockCodesConfig,
  shape: MatrixShape,
): BlockCodesLayout {
  const config = parseOptions('storage', blockCodesConfig, given);
  const [rows, columns] = config.transposed ? [shape[1], shape[0]] : shape;
  const { shared = 0, mapped } = config;
  checkBlocks(config, rows, columns);
  const blocks: CodedBlock[] = [];
  let [begin, word, scale, basisRows] = [0, 0, 0, shared];
  for (const block of config.blocks) {
    const directions = placeDirections(block, scale, block.basis === 'own' ? basisRows : 0);
    const width = (block.lengths ?? 0) + directions.reduce((sum, { bits }) => sum + bits, 0);
    const pieces = cutIntoPieces(directions, block.lengths ?? 0);
    blocks.push({ ...block, begin, word, width, directions, pieces });
    begin += block.rows;
    word += countWords(block.rows, width);
    scale += directions.length;
    if (block.basis === 'own') basisRows += block.bits.length;
  }
  const mapBits = mapped ? Math.ceil(Math.log2(blocks.length)) : 0;
  const parts = {
    codes: word,
    basis: Math.ceil((basisRows * columns) / 4),
    scales: Math.ceil(scale / 4),
    map: countWords(rows, mapBits),
  };
  const present = Object.entries(parts).filter(([, length]) => length > 0);
  const ranges = RANGES * blocks.length;
  return {
    ...{ config, rows, columns, blocks, basisRows, mapBits },
    parts: { ...Object.fromEntries(present), ranges },
  };
}

/** Numbers of a block in `ranges`: the logarithm of its least scale and the step to the next, the same of lengths. */
export const RANGES = 4;

function placeDirections(
  { bits }: BlockConfig,
  firstScale: number,
  firstTarget: number,
): readonly CodedDirection[] {
  const all = Array.from(bits, (digit, k) => ({ bits: parseInt(digit, 16), k }));
  const coded = all.filter((each) => each.bits > 0).sort((a, b) => b.bits - a.bits || a.k - b.k);
  return coded.map((each, i) => ({
    bits: each.bits,
    target: firstTarget + each.k,
    scale: firstScale + i,
  }));
}

/** Directions of equal bits share codes, as many as there is a codebook for. */
function cutIntoPieces(
  directions: readonly CodedDirection[],
  firstShift: number,
): readonly CodePiece[] {
  const pieces: CodePiece[] = [];
  let shift = firstShift;
  for (let first = 0; first < directions.length;) {
    const { bits } = directions[first]!;
    const most = Math.min(first + countTogether(bits), directions.length);
    let end = first + 1;
    while (end < most && directions[end]!.bits === bits) end++;
    const count = end - first;
    pieces.push({ bits, first, count, shift, width: bits * count });
    shift += bits * count;
    first = end;
  }
  return pieces;
}

function checkBlocks(
  { blocks, shared = 0, mapped }: BlockCodesConfig,
  rows: number,
  columns: number,
): void {
  const sum = blocks.reduce((total, block) => total + block.rows, 0);
  const most = { own: columns, shared, none: columns };
  const wide = blocks.findIndex(({ bits, basis }) => bits.length > most[basis]);
  const problem =
    (sum !== rows && `its blocks have ${sum} rows, and the matrix has ${rows}`) ||
    (wide >= 0 && `block ${wide} has more directions than there are`) ||
    (shared > columns &&
      `its shared basis has more rows than the matrix has columns, ${columns}`) ||
    (mapped && blocks.length < 2 && 'a map needs at least two blocks');
  if (!problem) return;
  throw new EspalierError('block-codes/config', {
    problem: `a configuration of block codes does not fit its matrix: ${problem}`,
    received: { rows: sum, blocks: blocks.length, shared },
    fix: 'Take config and weights together, as codeMatrix or the artifact gives them.',
  });
}
