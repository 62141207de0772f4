import type { Grouping } from './granularity.js';
import { placePlanes, unpackInto } from './packing.js';
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
  const { length, perRow } = grouping;
  const planes = placePlanes(bits, rows * columns);
  const codes = new Uint8Array(columns);
  for (let i = 0; i < ids.length; i++) {
    const row = ids[i]!;
    unpackInto(codes, words, planes, row * columns, columns);
    const to = i * columns;
    if (values.scale && length === 1 && perRow === 0) {
      writeByColumn(target, to, codes, values);
      continue;
    }
    for (let from = 0, group = row * perRow; from < columns; from += length, group++) {
      const end = Math.min(from + length, columns);
      if (values.scale) writeScaled(target, to, codes, from, end, values, group);
      else writeEntries(target, to, codes, from, end, values.levels, group * 2 ** bits);
    }
  }
}

function writeScaled(
  target: Float32Array,
  to: number,
  codes: Uint8Array,
  from: number,
  end: number,
  { levels, scale, offset }: CodeValues,
  group: number,
): void {
  const [factor, shift] = [scale![group]!, offset ? offset[group]! : 0];
  for (let c = from; c < end; c++) {
    target[to + c] = Math.fround(levels[codes[c]!]! * factor) + shift;
  }
}

function writeEntries(
  target: Float32Array,
  to: number,
  codes: Uint8Array,
  from: number,
  end: number,
  table: Float32Array,
  begin: number,
): void {
  for (let c = from; c < end; c++) target[to + c] = table[begin + codes[c]!]!;
}

/** Every column a group of its own. */
function writeByColumn(
  target: Float32Array,
  to: number,
  codes: Uint8Array,
  { levels, scale, offset }: CodeValues,
): void {
  for (let c = 0; c < codes.length; c++) {
    const shift = offset ? offset[c]! : 0;
    target[to + c] = Math.fround(levels[codes[c]!]! * scale![c]!) + shift;
  }
}
