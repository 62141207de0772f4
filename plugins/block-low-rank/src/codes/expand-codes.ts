import type { Matrix } from '@espalier/compression';
import { invert, transpose } from '../maths/rows.js';
import { readCoefficients } from './coefficients.js';
import type { BlockReader } from './coefficients.js';
import { decodeRows, prepareTables } from './decode.js';
import type { BlockCodesWeights, BlockTables } from './decode.js';
import { computeLayout } from './layout.js';
import type { BlockCodesConfig, BlockCodesLayout } from './layout.js';

/** A matrix in codes of blocks, on the host. */
export interface CodedMatrix {
  /** Rows and columns of the matrix itself, whether its rows or its columns are coded. */
  readonly rows: number;
  readonly columns: number;
  readonly config: BlockCodesConfig;
  readonly weights: BlockCodesWeights;
}

/** Rows decoded at once. */
const TILE = 64;

/**
 * The matrix that codes stand for, its rows in their first order.
 *
 * @returns `[rows, columns]`, float32.
 * @throws EspalierError `options/invalid`, `block-codes/config`, `block-codes/map` for parts that do not belong together.
 * @example
 * const close = expandCodes(coded);
 */
export function expandCodes({ rows, columns, config, weights }: CodedMatrix): Matrix {
  const layout = computeLayout(config, [rows, columns]);
  const tables = prepareTables(layout, weights);
  const data = new Float32Array(rows * columns);
  const codes = (weights.codes ?? new Int32Array(0)) as Int32Array;
  const order = tables.positions && invert(tables.positions);
  tables.readers.forEach((reader) => expandBlock(data, codes, layout, tables, reader, order));
  return { data: config.transposed ? transpose(data, columns, rows) : data, rows, columns };
}

function expandBlock(
  data: Float32Array,
  codes: Int32Array,
  layout: BlockCodesLayout,
  tables: BlockTables,
  reader: BlockReader,
  order: Int32Array | undefined,
): void {
  const { begin, rows } = reader.block;
  const { columns } = layout;
  const write = reader.directions
    ? expandTiles(codes, reader, reader.directions, columns)
    : (target: Float32Array, ids: Int32Array) => decodeRows(target, codes, layout, tables, ids);
  const tile = new Float32Array(TILE * columns);
  for (let first = 0; first < rows; first += TILE) {
    const ids = Int32Array.from({ length: Math.min(TILE, rows - first) }, (_, i) =>
      order ? order[begin + first + i]! : begin + first + i,
    );
    write(tile, ids, first);
    ids.forEach((id, i) => data.set(tile.subarray(i * columns, (i + 1) * columns), id * columns));
  }
}

/** Decodes rows of a block from its row `first` on into a tile `[TILE, columns]`. */
function expandTiles(
  codes: Int32Array,
  reader: BlockReader,
  directions: Float32Array,
  columns: number,
): (target: Float32Array, ids: Int32Array, first: number) => void {
  const { count } = reader;
  const turned = turnDirections(directions, count, columns);
  const read = new Float32Array(TILE * count);
  const coefficients = new Float64Array(read.length);
  return (target, { length }, first) => {
    for (let i = 0; i < length; i++) readCoefficients(read, i * count, codes, reader, first + i);
    coefficients.set(read);
    multiplyTile(target, coefficients, turned, columns, count);
  };
}

/** Directions as columns, `[columns, count]`, and a column of zeros where their number is odd. */
function turnDirections(directions: Float32Array, count: number, columns: number): Float64Array {
  const turned = new Float64Array((columns + (columns & 1)) * count);
  for (let k = 0; k < count; k++) {
    for (let j = 0; j < columns; j++) turned[j * count + k] = directions[k * columns + j]!;
  }
  return turned;
}

/** `[TILE, count]` times the transpose of `[columns, count]`, by pieces of four rows and two columns, whose sums stay in registers. */
function multiplyTile(
  target: Float32Array,
  left: Float64Array,
  right: Float64Array,
  columns: number,
  count: number,
): void {
  const sums = new Float64Array(8);
  for (let i = 0; i < TILE; i += 4) {
    for (let j = 0; j < columns; j += 2) {
      multiplyPiece(sums, left, i * count, right, j * count, count);
      const wide = j + 1 < columns;
      for (let r = 0; r < 4; r++) {
        const to = (i + r) * columns + j;
        target[to] = sums[2 * r]!;
        if (wide) target[to + 1] = sums[2 * r + 1]!;
      }
    }
  }
}

function multiplyPiece(
  sums: Float64Array,
  left: Float64Array,
  fromLeft: number,
  right: Float64Array,
  fromRight: number,
  count: number,
): void {
  const row1 = fromLeft + count;
  const row2 = row1 + count;
  const row3 = row2 + count;
  const second = fromRight + count;
  let a0 = 0;
  let a1 = 0;
  let a2 = 0;
  let a3 = 0;
  let b0 = 0;
  let b1 = 0;
  let b2 = 0;
  let b3 = 0;
  for (let k = 0; k < count; k++) {
    const a = right[fromRight + k]!;
    const b = right[second + k]!;
    const x0 = left[fromLeft + k]!;
    const x1 = left[row1 + k]!;
    const x2 = left[row2 + k]!;
    const x3 = left[row3 + k]!;
    a0 += x0 * a;
    b0 += x0 * b;
    a1 += x1 * a;
    b1 += x1 * b;
    a2 += x2 * a;
    b2 += x2 * b;
    a3 += x3 * a;
    b3 += x3 * b;
  }
  sums[0] = a0;
  sums[1] = b0;
  sums[2] = a1;
  sums[3] = b1;
  sums[4] = a2;
  sums[5] = b2;
  sums[6] = a3;
  sums[7] = b3;
}
