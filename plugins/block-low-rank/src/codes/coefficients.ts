import { selectRows } from '../maths/rows.js';
import { tableOf } from './codebooks.js';
import type { CodedBlock } from './layout.js';
import { readCode } from './row-bits.js';

/** All that turns codes of a block into coefficients. */
export interface BlockReader {
  /** Directions that have bits. */
  readonly count: number;
  /** Of each piece: bits of its code, and directions that share it. */
  readonly bits: Uint8Array;
  readonly counts: Uint8Array;
  /** Where its codebook begins in `table`. */
  readonly starts: Int32Array;
  readonly table: Float32Array;
  /** Scale of each. */
  readonly scales: Float32Array;
  /** `[count, columns]`: each direction; absent where they are columns of the matrix. */
  readonly directions?: Float32Array | undefined;
  /** Column of each direction, where the block has no basis. */
  readonly targets: Int32Array;
  /** What codes of lengths stand for; absent: all lengths are 1. */
  readonly lengths?: Float32Array | undefined;
  readonly block: CodedBlock;
}

/** @param basis `[basis rows, columns]`. */
export function makeReader(
  block: CodedBlock,
  { basis, columns }: { readonly basis: Float32Array; readonly columns: number },
  scales: Float32Array,
  lengths: Float32Array | undefined,
): BlockReader {
  const { directions, pieces } = block;
  const targets = Int32Array.from(directions, ({ target }) => target);
  return {
    count: directions.length,
    bits: Uint8Array.from(pieces, ({ width }) => width),
    counts: Uint8Array.from(pieces, ({ count }) => count),
    ...tableOf(pieces),
    scales: Float32Array.from(directions, ({ scale }) => scales[scale]!),
    ...(block.basis !== 'none' && { directions: takeRows(basis, targets, columns) }),
    ...{ targets, lengths, block },
  };
}

/** Rows of a basis; where they lie one after the other they are not copied. */
function takeRows(basis: Float32Array, rows: Int32Array, columns: number): Float32Array {
  const [first = 0] = rows;
  if (rows.every((row, k) => row === first + k)) {
    return basis.subarray(first * columns, (first + rows.length) * columns);
  }
  return selectRows(basis, rows, columns);
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
 * Writes a row's coefficients `[count]` into `target` from `to` on: length × scale × value of each direction.
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
  const { bits, counts, starts, table, scales, block } = reader;
  const length = readLength(codes, reader, row);
  const within = (row & 31) * block.width + (block.lengths ?? 0);
  let word = block.word + (row >>> 5) * block.width + (within >>> 5);
  let bit = within & 31;
  for (let piece = 0, k = 0; piece < bits.length; piece++) {
    const own = bits[piece]!;
    let code = codes[word]! >>> bit;
    bit += own;
    if (bit >= 32) {
      word++;
      bit -= 32;
      if (bit > 0) code |= codes[word]! << (own - bit);
    }
    const count = counts[piece]!;
    let from = starts[piece]! + (code & ((1 << own) - 1)) * count;
    for (const end = k + count; k < end; k++) target[to + k] = length * scales[k]! * table[from++]!;
  }
}
