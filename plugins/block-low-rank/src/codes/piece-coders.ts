import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { findCodebook, findLevel } from './codebooks.js';
import type { Codebook } from './codebooks.js';
import type { CodedBlock, CodePiece } from './layout.js';

/** Pieces side by side that have one codebook. */
export interface PieceRun {
  readonly codebook: Codebook;
  /** Its first piece and its first direction, and how many pieces. */
  readonly piece: number;
  readonly first: number;
  readonly pieces: number;
}

/** The runs of pieces, in their order. */
export function listRuns(pieces: readonly CodePiece[]): readonly PieceRun[] {
  const runs: PieceRun[] = [];
  pieces.forEach(({ bits, first, count }, piece) => {
    const codebook = findCodebook(bits, count);
    const last = runs.at(-1);
    if (last?.codebook === codebook) runs[runs.length - 1] = { ...last, pieces: last.pieces + 1 };
    else runs.push({ codebook, piece, first, pieces: 1 });
  });
  return runs;
}

/** Turns rows of a block into codes. */
export interface RowCoder extends Pick<CodedBlock, 'directions' | 'pieces'> {
  /** Of each direction. */
  readonly scales: ArrayLike<number>;
}

/** Codes of rows, and what they stand for. */
export interface CodedRows {
  /** `[rows, pieces]`. */
  readonly codes: Uint16Array;
  /** `[rows, directions]`: scale × value, for rows of length 1. */
  readonly values: Float32Array;
}

/**
 * The codes whose values are nearest to coordinates in units of the scales, piece by piece.
 *
 * @param coordinates `[rows, directions]`.
 * @param lengths Of rows, by which coordinates are divided; default 1.
 */
export async function codeRows(
  { directions, pieces, scales }: RowCoder,
  coordinates: Float32Array,
  lengths?: Float64Array,
): Promise<CodedRows> {
  const count = directions.length;
  const rows = coordinates.length / count;
  const codes = new Uint16Array(rows * pieces.length);
  const values = new Float32Array(coordinates.length);
  for (const run of listRuns(pieces)) {
    const { codebook, piece, first } = run;
    const numbers = takeNumbers(run, coordinates, count, scales, lengths);
    const found = await nearestOnHost(numbers, codebook);
    for (let row = 0, at = 0; row < rows; row++) {
      for (let p = 0; p < run.pieces; p++, at++) {
        const code = found[at]!;
        codes[row * pieces.length + piece + p] = code;
        for (let j = 0; j < codebook.count; j++) {
          const k = first + p * codebook.count + j;
          values[row * count + k] = scales[k]! * codebook.values[code * codebook.count + j]!;
        }
      }
    }
  }
  return { codes, values };
}

/** Coordinates of a run in units of the scales: `[rows · pieces, count]`. */
function takeNumbers(
  { first, pieces, codebook }: PieceRun,
  coordinates: Float32Array,
  count: number,
  scales: ArrayLike<number>,
  lengths: Float64Array | undefined,
): Float32Array {
  const width = pieces * codebook.count;
  const rows = coordinates.length / count;
  const numbers = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const length = lengths ? lengths[row]! : 1;
    for (let k = 0; k < width; k++) {
      numbers[row * width + k] =
        coordinates[row * count + first + k]! / (length * scales[first + k]!);
    }
  }
  return numbers;
}

async function nearestOnHost(
  numbers: Float32Array,
  codebook: Codebook,
): Promise<ArrayLike<number>> {
  const { count, values } = codebook;
  if (count === 1) return numbers.map((value) => findLevel(value, values));
  const found = tf.tidy(() =>
    findNearestRows(tf.tensor2d(numbers, [numbers.length / count, count]), codebook),
  );
  try {
    return await found.data<'int32'>();
  } finally {
    found.dispose();
  }
}

/** Distances held at once. */
const CHUNK = 2 ** 23;

/** The nearest row of a codebook to each row `[n, count]`, the one of largest `x · c − ‖c‖² / 2`: int32 `[n]`. Inside `tf.tidy`. */
export function findNearestRows(rows: Tensor2D, { values, count }: Codebook): Tensor1D {
  const size = values.length / count;
  const codebook = tf.tensor2d(values, [size, count]);
  const halves = tf.mul(tf.sum(tf.square(codebook), 1), 0.5);
  const each = Math.max(1, Math.floor(CHUNK / size));
  const parts: Tensor1D[] = [];
  for (let begin = 0; begin < rows.shape[0]; begin += each) {
    const end = Math.min(begin + each, rows.shape[0]);
    parts.push(
      tf.tidy(() => {
        const own = tf.slice2d(rows, [begin, 0], [end - begin, count]);
        return tf.argMax(tf.sub(tf.matMul(own, codebook, false, true), halves), 1) as Tensor1D;
      }),
    );
  }
  return parts.length === 1 ? parts[0]! : tf.concat1d(parts);
}

/**
 * What a coded row must be multiplied with to be nearest to its coordinates.
 *
 * @param units What the square of each coordinate weighs.
 */
export function measureGain(
  values: Float32Array,
  coordinates: Float32Array,
  at: number,
  units: Float64Array,
): number {
  let [products, norm] = [0, 0];
  for (let k = 0; k < units.length; k++) {
    const value = values[at + k]!;
    products += units[k]! * coordinates[at + k]! * value;
    norm += units[k]! * value * value;
  }
  return products / norm;
}
