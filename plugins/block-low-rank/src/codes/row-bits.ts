/**
 * Rows of codes as one string of bits: row i takes `width` bits from bit `i · width` on, so that 32 rows take
 * `width` words. Positions are given as word and bit, since a bit's number may be beyond what 32 bits count.
 */

/** Words of 32 bits that `rows` rows of `width` bits take. */
export function countWords(rows: number, width: number): number {
  return Math.floor(rows / 32) * width + Math.ceil(((rows % 32) * width) / 32);
}

/** Writes `bits` (at most 16) bits of `code` at `shift` bits into row `row`; they must be 0 before. */
export function writeCode(
  words: Int32Array,
  first: number,
  width: number,
  row: number,
  shift: number,
  bits: number,
  code: number,
): void {
  const within = (row & 31) * width + shift;
  const word = first + (row >>> 5) * width + (within >>> 5);
  const bit = within & 31;
  words[word]! |= code << bit;
  if (bit + bits > 32) words[word + 1]! |= code >>> (32 - bit);
}

/** Reads what {@link writeCode} wrote. */
export function readCode(
  words: Int32Array,
  first: number,
  width: number,
  row: number,
  shift: number,
  bits: number,
): number {
  const within = (row & 31) * width + shift;
  const word = first + (row >>> 5) * width + (within >>> 5);
  const bit = within & 31;
  const low = words[word]! >>> bit;
  const all = bit + bits > 32 ? low | (words[word + 1]! << (32 - bit)) : low;
  return all & ((1 << bits) - 1);
}

/** Signed bytes, four to a word, the first in the lowest bits. */
export function packBytes(bytes: Int8Array): Int32Array {
  const padded = new Int8Array(4 * Math.ceil(bytes.length / 4));
  padded.set(bytes);
  const words = new Int32Array(padded.length / 4);
  for (let i = 0; i < padded.length; i++) words[i >>> 2]! |= (padded[i]! & 255) << ((i & 3) << 3);
  return words;
}

/** The `count` signed bytes of {@link packBytes}. */
export function unpackBytes(words: Int32Array, count: number): Int8Array {
  return Int8Array.from({ length: count }, (_, i) => words[i >>> 2]! >> ((i & 3) << 3));
}
