import { normalLevels } from '@espalier/compression';
import { MOST_BITS } from './layout.js';
import type { CodedBlock } from './layout.js';
import { readCode } from './row-bits.js';

/** Levels of all widths, one after the other: those of `bits` bits begin at 2^bits − 1. */
const LEVELS = (() => {
  const levels = new Float32Array(2 ** (MOST_BITS + 1) - 1);
  const known = new Set<number>();
  return (bits: number) => {
    if (!known.has(bits)) levels.set(normalLevels(bits).levels, 2 ** bits - 1);
    known.add(bits);
    return levels;
  };
})();

/** Levels of `bits` bits in float32. */
export function levelTable(bits: number): Float32Array {
  return LEVELS(bits).subarray(2 ** bits - 1, 2 ** (bits + 1) - 1);
}

/** All that turns codes of a block into coefficients. */
export interface BlockReader {
  /** Directions that have bits. */
  readonly count: number;
  /** Bits of each. */
  readonly bits: Uint8Array;
  /** Scale of each. */
  readonly scales: Float32Array;
  /** `[count, columns]`: each direction; absent where they are columns of the matrix. */
  readonly directions?: Float32Array | undefined;
  /** Column of each direction, where the block has no basis. */
  readonly targets: Int32Array;
  /** What codes of lengths stand for; absent: all lengths are 1. */
  readonly lengths?: Float32Array | undefined;
  readonly block: CodedBlock;
  /** Levels of all widths: those of `bits` bits begin at 2^bits − 1. */
  readonly levels: Float32Array;
}

/** @param basis `[basis rows, columns]`. */
export function makeReader(
  block: CodedBlock,
  { basis, columns }: { readonly basis: Float32Array; readonly columns: number },
  scales: Float32Array,
  lengths: Float32Array | undefined,
): BlockReader {
  const { directions } = block;
  const levels = LEVELS(0);
  directions.forEach(({ bits }) => LEVELS(bits));
  const targets = Int32Array.from(directions, ({ target }) => target);
  return {
    count: directions.length,
    bits: Uint8Array.from(directions, ({ bits }) => bits),
    scales: Float32Array.from(directions, ({ scale }) => scales[scale]!),
    ...(block.basis !== 'none' && { directions: takeRows(basis, targets, columns) }),
    ...{ targets, lengths, block, levels },
  };
}

/** Rows of a basis; where they lie one after the other they are not copied. */
function takeRows(basis: Float32Array, rows: Int32Array, columns: number): Float32Array {
  const [first = 0] = rows;
  if (rows.every((row, k) => row === first + k)) {
    return basis.subarray(first * columns, (first + rows.length) * columns);
  }
  const taken = new Float32Array(rows.length * columns);
  rows.forEach((row, k) => {
    taken.set(basis.subarray(row * columns, (row + 1) * columns), k * columns);
  });
  return taken;
}

/** The length of a row of the block. */
export function readLength(
  codes: Int32Array,
  { lengths, block }: BlockReader,
  row: number,
): number {
  if (!lengths) return 1;
  return lengths[readCode(codes, block.word, block.width, row, 0, block.lengths!)]!;
}

/**
 * Writes a row's coefficients `[count]` into `target` from `to` on: length × scale × level of each direction.
 *
 * @param row Number in the block.
 */
export function readCoefficients(
  target: Float32Array,
  to: number,
  codes: Int32Array,
  reader: BlockReader,
  row: number,
): void {
  const { count, bits, scales, levels, block } = reader;
  const length = readLength(codes, reader, row);
  const within = (row & 31) * block.width + (block.lengths ?? 0);
  let word = block.word + (row >>> 5) * block.width + (within >>> 5);
  let bit = within & 31;
  for (let k = 0; k < count; k++) {
    const own = bits[k]!;
    let code = codes[word]! >>> bit;
    bit += own;
    if (bit >= 32) {
      word++;
      bit -= 32;
      if (bit > 0) code |= codes[word]! << (own - bit);
    }
    const beyond = 1 << own;
    target[to + k] = length * scales[k]! * levels[beyond - 1 + (code & (beyond - 1))]!;
  }
}
