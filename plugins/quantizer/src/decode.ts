import type { Grouping } from './granularity.js';
import { planesOf, unpackInto } from './packing.js';
import type { Bits } from './packing.js';

/** How codes lie in their words and which scale each has. */
export interface CodeFormat {
  readonly bits: Bits;
  /** Rows and columns of the whole matrix. */
  readonly rows: number;
  readonly columns: number;
  readonly grouping: Grouping;
}

/** What codes stand for: `levels[code] · scale[group] (+ offset[group])`, or a table a group. */
export interface CodeValues {
  /** `[2^bits]`; where there is no scale, `[groups · 2^bits]`. */
  readonly levels: Float32Array;
  readonly scale?: Float32Array;
  readonly offset?: Float32Array;
}

/**
 * Decodes rows by number into `target` `[ids.length, columns]`, reading only their words. All in
 * float32: the product is rounded, then the sum.
 */
export function decodeRows(
  target: Float32Array,
  words: Int32Array,
  values: CodeValues,
  { bits, rows, columns, grouping }: CodeFormat,
  ids: ArrayLike<number>,
): void {
  const planes = planesOf(bits, rows * columns);
  const codes = new Uint8Array(columns);
  const write = writerOf(values, bits, grouping);
  for (let i = 0; i < ids.length; i++) {
    unpackInto(codes, words, planes, ids[i]! * columns, columns);
    write(target, i * columns, codes, ids[i]!);
  }
}

type WriteRow = (target: Float32Array, to: number, codes: Uint8Array, row: number) => void;

function writerOf({ levels, scale, offset }: CodeValues, bits: Bits, grouping: Grouping): WriteRow {
  const { length, perRow } = grouping;
  if (!scale) {
    return stretchWise(grouping, (target, to, codes, from, end, group) => {
      const table = group * 2 ** bits;
      for (let c = from; c < end; c++) target[to + c] = levels[table + codes[c]!]!;
    });
  }
  if (length === 1 && perRow === 0) return columnWriter(levels, scale, offset);
  return stretchWise(grouping, (target, to, codes, from, end, group) => {
    const factor = scale[group]!;
    if (offset) {
      const shift = offset[group]!;
      for (let c = from; c < end; c++) {
        target[to + c] = Math.fround(levels[codes[c]!]! * factor) + shift;
      }
    } else {
      for (let c = from; c < end; c++) target[to + c] = levels[codes[c]!]! * factor;
    }
  });
}

function columnWriter(levels: Float32Array, scale: Float32Array, offset?: Float32Array): WriteRow {
  if (!offset) {
    return (target, to, codes) => {
      for (let c = 0; c < codes.length; c++) target[to + c] = levels[codes[c]!]! * scale[c]!;
    };
  }
  return (target, to, codes) => {
    for (let c = 0; c < codes.length; c++) {
      target[to + c] = Math.fround(levels[codes[c]!]! * scale[c]!) + offset[c]!;
    }
  };
}

type WriteStretch = (
  target: Float32Array,
  to: number,
  codes: Uint8Array,
  from: number,
  end: number,
  group: number,
) => void;

function stretchWise({ length, perRow }: Grouping, write: WriteStretch): WriteRow {
  return (target, to, codes, row) => {
    let group = row * perRow;
    for (let from = 0; from < codes.length; from += length) {
      write(target, to, codes, from, Math.min(from + length, codes.length), group++);
    }
  };
}
