import type { MatrixShape } from '@espalier/compression';

/** Words of a bitmap `[rows · columns]`: element e is bit `e mod 32` of word `⌊e / 32⌋`. */
export function bitmapLength([rows, columns]: MatrixShape): number {
  return Math.ceil((rows * columns) / 32);
}

/** Bytes of a matrix of which so many numbers are kept: the bitmap, a start for each row, the numbers. */
export function sparseBytes(shape: MatrixShape, kept: number): number {
  return 4 * (bitmapLength(shape) + shape[0] + kept);
}

/**
 * The set ones among `length` bits from bit `begin` on, counted from there, rising, written to
 * `target`.
 *
 * @returns Their number.
 */
export function setBits(
  target: Int32Array,
  bitmap: Int32Array,
  begin: number,
  length: number,
): number {
  let count = 0;
  for (let from = 0; from < length;) {
    const bit = (begin + from) % 32;
    const here = Math.min(32 - bit, length - from);
    let word = bitmap[Math.floor((begin + from) / 32)]! >>> bit;
    if (here < 32) word &= 2 ** here - 1;
    for (; word !== 0; word &= word - 1) {
      target[count++] = from + 31 - Math.clz32(word & -word);
    }
    from += here;
  }
  return count;
}
