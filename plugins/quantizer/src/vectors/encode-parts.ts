import type { Matrix } from '@espalier/compression';
import { project } from '@espalier/linalg';
import { ErrorSum } from './error-sum.js';
import type { Piece, VectorFormat } from './layout.js';
import { UNKNOWN } from './nearest-on-host.js';
import { prepareSearch } from './nearest.js';
import { takePoints } from './points.js';

/** Rows coded at once. */
const CHUNK = 2 ** 14;

/** What rows are coded with. */
export interface PartTables {
  readonly codebook: Float32Array;
  readonly rotation?: Matrix | undefined;
}

/** Codes, and how far off they are. */
export interface EncodedRows {
  /** `[rows, pieces]`. */
  readonly codes: Uint8Array;
  /** ‖A − Ã‖ / ‖A‖. */
  readonly error: number;
}

/** The nearest entry of each part of each row, rotated before where there is a rotation. */
export async function encodeParts(
  matrix: Matrix,
  { codebook, rotation }: PartTables,
  { bits, pieces }: VectorFormat,
): Promise<EncodedRows> {
  const codes = new Uint8Array(matrix.rows * pieces.length);
  const sum = new ErrorSum();
  for (let begin = 0; begin < matrix.rows; begin += CHUNK) {
    const rows = viewRows(matrix, begin, Math.min(matrix.rows, begin + CHUNK));
    const turned = rotation ? await project(rows, rotation) : rows;
    for (const [p, piece] of pieces.entries()) {
      const table = codebook.subarray(piece.table, piece.table + 2 ** bits * piece.width);
      const nearest = await encodePart(turned, piece, table, sum);
      for (let i = 0; i < nearest.length; i++) codes[(begin + i) * pieces.length + p] = nearest[i]!;
    }
  }
  return { codes, error: sum.relative };
}

/** Rows `begin … end − 1`, where they lie. */
export function viewRows({ data, columns }: Matrix, begin: number, end: number): Matrix {
  return { data: data.subarray(begin * columns, end * columns), rows: end - begin, columns };
}

/** The entries of one part, whose errors are added to `sum`. */
export async function encodePart(
  rows: Matrix,
  piece: Piece,
  table: Float32Array,
  sum: ErrorSum,
): Promise<Int32Array> {
  const points = takePoints(rows, piece, 0, rows.rows);
  const nearest = new Int32Array(points.count).fill(UNKNOWN);
  const search = prepareSearch(points, table.length / piece.width);
  try {
    await search.find(table, nearest);
  } finally {
    search.dispose();
  }
  sum.add(points, nearest, table);
  return nearest;
}
