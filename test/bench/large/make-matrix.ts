import {
  closeSync,
  existsSync,
  openSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { encodeNpy } from '@espalier/formats';

/** Rows that are made at a time. */
const PIECE = 4096;

/** The size of a matrix of vectors. */
export interface MatrixSize {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Writes a matrix of float32 as `.npy`, some rows at a time: normal numbers of falling variance along turned directions,
 * rare words shorter than frequent ones. Equal sizes give equal bytes. One that is there is kept.
 */
export function writeMatrix(path: string, { rows, columns }: MatrixSize): void {
  const header = npyHeader({ rows, columns });
  if (existsSync(path) && statSync(path).size === header.length + 4 * rows * columns) return;
  const file = openSync(`${path}.part`, 'w');
  writeSync(file, header);
  const draw = xorshift(0x9e3779b9);
  const scales = Float64Array.from({ length: columns }, (_, k) => (k + 4) ** -0.6);
  const mirrors = Array.from({ length: 3 }, () => drawUnit(draw, columns));
  for (let begin = 0; begin < rows; begin += PIECE) {
    const count = Math.min(PIECE, rows - begin);
    const piece = new Float32Array(count * columns);
    for (let i = 0; i < count; i++) {
      const row = piece.subarray(i * columns, (i + 1) * columns);
      const length = 1 / Math.log10(begin + i + 10);
      for (let k = 0; k < columns; k++) row[k] = length * scales[k]! * drawNormal(draw);
      for (const mirror of mirrors) reflect(row, mirror);
    }
    writeSync(file, new Uint8Array(piece.buffer));
  }
  closeSync(file);
  renameSync(`${path}.part`, path);
}

/** Writes counts by the law of Zipf and Mandelbrot, one in each line, in the order of rows. */
export function writeCounts(path: string, rows: number): void {
  const lines = Array.from({ length: rows }, (_, rank) => Math.ceil(1e8 / (rank + 2.7)));
  writeFileSync(path, `${lines.join('\n')}\n`);
}

function npyHeader({ rows, columns }: MatrixSize): Uint8Array {
  const none = encodeNpy({ dtype: 'F32', shape: [0, columns], data: new Float32Array(0) });
  const text = Buffer.from(none).toString('latin1');
  const shaped = text.slice(10).trimEnd().replace(`(0, ${columns})`, `(${rows}, ${columns})`);
  return Buffer.concat([none.subarray(0, 10), Buffer.from(`${shaped.padEnd(none.length - 11)}\n`)]);
}

/** Whole numbers from 0 to 2³² − 1 (Marsaglia 2003); keyed streams would take minutes for so many. */
function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Nearly normal: the sum of four uniform numbers of 16 bits, of variance 1. */
function drawNormal(draw: () => number): number {
  const [a, b] = [draw(), draw()];
  const sum = (a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16);
  return (sum - 131_070) / 37_837;
}

function drawUnit(draw: () => number, columns: number): Float64Array {
  const vector = Float64Array.from({ length: columns }, () => drawNormal(draw));
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** Turns a row by a reflection, in place. */
function reflect(row: Float32Array, mirror: Float64Array): void {
  let product = 0;
  for (let k = 0; k < row.length; k++) product += row[k]! * mirror[k]!;
  for (let k = 0; k < row.length; k++) row[k]! -= 2 * product * mirror[k]!;
}
