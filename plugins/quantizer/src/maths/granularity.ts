import type { Matrix, MatrixShape } from '@espalier/compression';
import { z } from 'zod';
import type { Bits } from './packing.js';

/** Which numbers of a matrix share a scale: all, those of a row, of a column, or n along a row. */
export const granularity = z.union([
  z.enum(['tensor', 'row', 'column']),
  z.strictObject({ group: z.int().positive() }),
]);

/** Which numbers of a matrix share a scale. */
export type Granularity = z.output<typeof granularity>;

/**
 * The same as arithmetic: element (row, column) is in group `row · perRow + ⌊column / length⌋`, of
 * `count` groups.
 */
export interface Grouping {
  readonly length: number;
  readonly perRow: number;
  readonly count: number;
}

/** Rows and columns of a matrix. */
export function getShape({ rows, columns }: Matrix): MatrixShape {
  return [rows, columns];
}

/** The groups of a matrix; the last group of a row may be shorter than the others. */
export function computeGrouping(of: Granularity, [rows, columns]: MatrixShape): Grouping {
  if (of === 'tensor') return { length: columns, perRow: 0, count: 1 };
  if (of === 'row') return { length: columns, perRow: 1, count: rows };
  if (of === 'column') return { length: 1, perRow: 0, count: columns };
  const perRow = Math.ceil(columns / of.group);
  return { length: of.group, perRow, count: rows * perRow };
}

/**
 * A granularity whose scales cost at most 1/16 of the codes: rows if they have 512 bits of codes or
 * more, else columns if they do, else one scale for all. `prefer: 'column'` asks for columns first
 * (the outputs of a dense or convolutional layer).
 *
 * @example
 * automaticGranularity([10000, 650], 8); // 'row'
 * automaticGranularity([2000, 3], 8); // 'column'
 */
export function automaticGranularity(
  [rows, columns]: MatrixShape,
  bits: Bits,
  prefer: 'row' | 'column' = 'row',
): Granularity {
  const pays = { row: columns * bits >= 512, column: rows * bits >= 512 };
  const other = prefer === 'row' ? 'column' : 'row';
  if (pays[prefer]) return prefer;
  return pays[other] ? other : 'tensor';
}

/** Calls `visit` with every stretch of a row that is in one group. */
export function forEachGroupRun(
  { length, perRow }: Grouping,
  [rows, columns]: MatrixShape,
  visit: (group: number, begin: number, end: number) => void,
): void {
  for (let row = 0; row < rows; row++) {
    for (let column = 0, i = 0; column < columns; column += length, i++) {
      const begin = row * columns + column;
      visit(row * perRow + i, begin, begin + Math.min(length, columns - column));
    }
  }
}

/** The numbers of one group, row by row: a view where they lie together, else a copy. */
export function groupValues(
  data: Float32Array,
  [rows, columns]: MatrixShape,
  { length, perRow, count }: Grouping,
  group: number,
): Float32Array {
  if (count === 1) return data;
  const column = (perRow === 0 ? group : group % perRow) * length;
  const width = Math.min(length, columns - column);
  if (perRow > 0) {
    const begin = Math.floor(group / perRow) * columns + column;
    return data.subarray(begin, begin + width);
  }
  const values = new Float32Array(rows * width);
  for (let row = 0, i = 0; row < rows; row++) {
    for (let c = 0; c < width; c++) values[i++] = data[row * columns + column + c]!;
  }
  return values;
}
