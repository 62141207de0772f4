import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { readLength } from './coefficients.js';
import type { BlockReader } from './coefficients.js';
import { writeFromCodes } from './host-memory.js';
import type { BlockCodesTensors } from './host-memory.js';
import { readCode } from './row-bits.js';

/** What steps take in nanoseconds, as measured: to choose the faster way. */
const COST = { readEntry: 3, addEntry: 5, readCoefficient: 6, multiply: 0.2, multiplyOnCpu: 3 };

/** Most bits that pieces side by side have in one table. */
const TABLE_BITS = 8;

/** Pieces side by side whose codes are looked up together. */
interface PieceGroup {
  readonly pieces: readonly number[];
  readonly bits: number;
  readonly shift: number;
  /** Where its table begins. */
  readonly begin: number;
}

/** Cuts a block's pieces into groups of at most eight bits; one with more is alone. */
function groupPieces({ block }: BlockReader): readonly PieceGroup[] {
  const groups: PieceGroup[] = [];
  let begin = 0;
  block.pieces.forEach(({ width: bits, shift }, piece) => {
    const last = groups.at(-1);
    if (last && last.bits + bits <= TABLE_BITS) {
      begin += 2 ** (last.bits + bits) - 2 ** last.bits;
      const joined = { ...last, pieces: [...last.pieces, piece], bits: last.bits + bits };
      groups[groups.length - 1] = joined;
    } else {
      groups.push({ pieces: [piece], bits, shift, begin });
      begin += 2 ** bits;
    }
  });
  return groups;
}

/** Whether tables give the scores of `queries` rows of a block sooner than products with its coefficients. */
export function paysToTabulate(queries: number, reader: BlockReader): boolean {
  const groups = groupPieces(reader).length;
  const multiply = tf.getBackend() === 'cpu' ? COST.multiplyOnCpu : COST.multiply;
  const multiplying = reader.count * (COST.readCoefficient + queries * multiply);
  return groups * (COST.readEntry + queries * COST.addEntry) < multiplying;
}

/**
 * Products of each `x` with each row of a block, `[n, rows]`: for the codes of pieces side by side a table of
 * their share of the product, and each row adds the entries that its codes name (asymmetric distance
 * computation, Jégou et al. 2011).
 *
 * @param projected `x` times each direction: `[n, count]`.
 */
export function scoreByTables(
  { codes }: BlockCodesTensors,
  projected: Tensor2D,
  reader: BlockReader,
): Tensor2D {
  const [queries, count] = projected.shape;
  const numbers = projected.dataSync<'float32'>();
  const groups = groupPieces(reader);
  const tables = Array.from({ length: queries }, (_, q) =>
    tabulate(numbers.subarray(q * count, (q + 1) * count), groups, reader),
  );
  return writeFromCodes([queries, reader.block.rows], codes, (scores, words) =>
    addEntries(scores, words, tables, groups, reader),
  );
}

/** The tables of all groups, one after the other. */
function tabulate(
  numbers: Float32Array,
  groups: readonly PieceGroup[],
  { bits, block, scales, starts, table: values }: BlockReader,
): Float32Array {
  const last = groups.at(-1);
  const table = new Float32Array(last ? last.begin + 2 ** last.bits : 0);
  for (const { pieces, begin } of groups) {
    let size = 1;
    for (const piece of pieces) {
      const codes = 2 ** bits[piece]!;
      const { first, count } = block.pieces[piece]!;
      // From the last on, since the first takes the place of what is added to all.
      for (let code = codes - 1; code >= 0; code--) {
        let share = 0;
        for (let j = 0; j < count; j++) {
          const value = values[starts[piece]! + code * count + j]!;
          share += numbers[first + j]! * scales[first + j]! * value;
        }
        for (let i = 0; i < size; i++) {
          table[begin + code * size + i] = table[begin + i]! + share;
        }
      }
      size *= codes;
    }
  }
  return table;
}

function addEntries(
  scores: Float32Array,
  codes: Int32Array,
  tables: readonly Float32Array[],
  groups: readonly PieceGroup[],
  reader: BlockReader,
): void {
  const { rows, word, width } = reader.block;
  const entries = new Int32Array(groups.length);
  const shifts = Int32Array.from(groups, ({ shift }) => shift);
  const bits = Int32Array.from(groups, (group) => group.bits);
  const begins = Int32Array.from(groups, ({ begin }) => begin);
  for (let row = 0; row < rows; row++) {
    const length = readLength(codes, reader, row);
    for (let g = 0; g < entries.length; g++) {
      entries[g] = begins[g]! + readCode(codes, word, width, row, shifts[g]!, bits[g]!);
    }
    for (let q = 0; q < tables.length; q++) {
      const table = tables[q]!;
      let sum = 0;
      for (let g = 0; g < entries.length; g++) sum += table[entries[g]!]!;
      scores[q * rows + row] = length * sum;
    }
  }
}
