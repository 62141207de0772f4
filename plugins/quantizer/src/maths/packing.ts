/** Sizes of a code that there are. */
export const BITS = [8, 4, 3, 2] as const;

/** Bits of one code. */
export type Bits = (typeof BITS)[number];

/** The bits of a code that lie together: 3 bits are the low two in one plane and the third in another. */
interface Plane {
  readonly width: 1 | 2 | 4 | 8;
  /** Position in the code of the plane's lowest bit. */
  readonly from: number;
}

const PLANES: Readonly<Record<Bits, readonly Plane[]>> = {
  8: [{ width: 8, from: 0 }],
  4: [{ width: 4, from: 0 }],
  3: [
    { width: 2, from: 0 },
    { width: 1, from: 2 },
  ],
  2: [{ width: 2, from: 0 }],
};

/** A plane among the words: where it begins, and the numbers that address a code in it. */
export interface PlacedPlane extends Plane {
  /** Its first word. */
  readonly begin: number;
  /** log2 of the codes in a word. */
  readonly wordShift: number;
  /** Codes in a word, less one. */
  readonly inWord: number;
  /** log2 of the width. */
  readonly bitShift: number;
  /** Its bits, all ones. */
  readonly mask: number;
}

/** The planes of `count` codes, one behind the other. */
export function placePlanes(bits: Bits, count: number): readonly PlacedPlane[] {
  let begin = 0;
  return PLANES[bits].map((plane) => {
    const inWord = 32 / plane.width - 1;
    const placed = {
      ...plane,
      begin,
      wordShift: Math.log2(inWord + 1),
      inWord,
      bitShift: Math.log2(plane.width),
      mask: 2 ** plane.width - 1,
    };
    begin += countWords(plane, count);
    return placed;
  });
}

function countWords({ width }: Plane, count: number): number {
  return Math.ceil((count * width) / 32);
}

/** How many 32-bit words hold `count` codes. */
export function packedLength(bits: Bits, count: number): number {
  return PLANES[bits].reduce((sum, plane) => sum + countWords(plane, count), 0);
}

/**
 * Packs codes into 32-bit words, the first code in the lowest bits of the first word; what is left
 * of the last word is 0. Three bits make two planes: first the low two bits of all codes, then, from
 * a word of its own on, the third bits.
 *
 * @param codes Each below 2^bits.
 * @example
 * pack(Uint8Array.of(1, 2, 3), 4); // Int32Array [0x321]
 */
export function pack(codes: Uint8Array, bits: Bits): Int32Array {
  const words = new Int32Array(packedLength(bits, codes.length));
  for (const plane of placePlanes(bits, codes.length)) {
    const { begin, wordShift, inWord, bitShift, mask, from } = plane;
    for (let i = 0; i < codes.length; i++) {
      words[begin + (i >>> wordShift)]! |=
        ((codes[i]! >>> from) & mask) << ((i & inWord) << bitShift);
    }
  }
  return words;
}

/**
 * Reads codes `begin … begin + target.length − 1` out of words of `count` codes: the inverse of
 * {@link pack}, for any stretch.
 */
export function unpackInto(
  target: Uint8Array,
  words: Int32Array,
  planes: readonly PlacedPlane[],
  begin: number,
  length: number,
): void {
  const [first, second] = planes;
  readPlane(target, words, first!, begin, length);
  if (second) addPlane(target, words, second, begin, length);
}

function readPlane(
  target: Uint8Array,
  words: Int32Array,
  { begin, wordShift, inWord, bitShift, mask }: PlacedPlane,
  from: number,
  length: number,
): void {
  for (let i = 0, e = from; i < length; i++, e++) {
    target[i] = (words[begin + (e >>> wordShift)]! >>> ((e & inWord) << bitShift)) & mask;
  }
}

function addPlane(
  target: Uint8Array,
  words: Int32Array,
  plane: PlacedPlane,
  from: number,
  length: number,
): void {
  const { begin, wordShift, inWord, bitShift, mask } = plane;
  for (let i = 0, e = from; i < length; i++, e++) {
    const part = (words[begin + (e >>> wordShift)]! >>> ((e & inWord) << bitShift)) & mask;
    target[i]! |= part << plane.from;
  }
}

/** All `count` codes of packed words. */
export function unpack(words: Int32Array, bits: Bits, count: number): Uint8Array {
  const codes = new Uint8Array(count);
  unpackInto(codes, words, placePlanes(bits, count), 0, count);
  return codes;
}
