import { checkMatrix } from '@espalier/compression';
import type { Matrix } from '@espalier/compression';
import { bitmapLength } from './bitmap.js';

/** The largest numbers of a matrix and where they were. */
export interface PrunedMatrix {
  /** What a layer keeps. */
  readonly weights: {
    /** The kept numbers in row-major order. */
    readonly values: Float32Array;
    /** One bit for each number of the matrix, set where it is kept. */
    readonly bitmap: Int32Array;
    /** `[rows]`: how many numbers are kept in the rows before. */
    readonly starts: Int32Array;
  };
  /** Sum of the squares of the numbers that are gone, and of all. */
  readonly error: number;
  readonly norm: number;
}

/**
 * Keeps the `count` numbers of largest magnitude, of equal ones the first in row-major order; fewer
 * where fewer are not zero, but always one. There is a single threshold for the whole matrix.
 *
 * @param matrix Finite numbers.
 * @param count From 1 to the number of elements.
 * @throws EspalierError `compression/matrix`.
 * @see Han, Pool, Tran & Dally 2015, arXiv 1506.02626.
 */
export function pruneMatrix(matrix: Matrix, count: number): PrunedMatrix {
  checkMatrix('pruneMatrix', matrix);
  const { data, rows, columns } = matrix;
  const values = new Float32Array(Math.max(1, Math.min(count, nonZeros(data))));
  const bitmap = new Int32Array(bitmapLength([rows, columns]));
  const starts = new Int32Array(rows);
  const smallest = smallestKept(data, values.length);
  let [kept, equal, error, norm] = [0, 0, 0, 0];
  for (let element = 0; element < data.length; element++) {
    if (element % columns === 0) starts[element / columns] = kept;
    const value = data[element]!;
    const magnitude = Math.abs(value);
    norm += value ** 2;
    const fits = magnitude === smallest.magnitude && equal++ < smallest.equal;
    if (fits || magnitude > smallest.magnitude) {
      bitmap[element >>> 5]! |= 1 << (element & 31);
      values[kept++] = value;
    } else {
      error += value ** 2;
    }
  }
  return { weights: { values, bitmap, starts }, error, norm };
}

function nonZeros(data: Float32Array): number {
  let count = 0;
  for (const value of data) if (value !== 0) count++;
  return count;
}

/**
 * The `count`-th largest magnitude, and how many of the kept numbers have just that. The bits of a
 * positive float32 order as the number does, so two histograms of 16 bits each find it.
 */
function smallestKept(data: Float32Array, count: number): { magnitude: number; equal: number } {
  const bits = new Int32Array(data.buffer, data.byteOffset, data.length);
  const [high, low] = [new Uint32Array(2 ** 15), new Uint32Array(2 ** 16)];
  for (const each of bits) high[(each & 0x7fffffff) >>> 16]!++;
  const upper = findBucket(high, count);
  for (const each of bits) {
    if ((each & 0x7fffffff) >>> 16 === upper.bucket) low[each & 0xffff]!++;
  }
  const lower = findBucket(low, upper.within);
  const magnitude = new Float32Array(Int32Array.of((upper.bucket << 16) | lower.bucket).buffer)[0]!;
  return { magnitude, equal: lower.within };
}

/** The bucket of the `count`-th entry from above, and which one it is there. */
function findBucket(histogram: Uint32Array, count: number): { bucket: number; within: number } {
  let [bucket, within] = [histogram.length - 1, count];
  while (histogram[bucket]! < within) within -= histogram[bucket--]!;
  return { bucket, within };
}
