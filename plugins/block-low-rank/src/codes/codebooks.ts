import { normalLevels } from '@espalier/compression';
import { CODEBOOKS } from './codebook-data.js';
import type { CodePiece } from './layout.js';

/** The most bits of a number. */
export const MOST_BITS = 10;

/** What the codes of numbers with a standard normal distribution stand for, where some share a code. */
export interface Codebook {
  /** Bits of a number, and numbers that share a code of `bits · count` bits. */
  readonly bits: number;
  readonly count: number;
  /** `[2^(bits · count), count]`; of one number rising. */
  readonly values: Float32Array;
  /** The largest of the values. */
  readonly reach: number;
  /** Mean squared error of a number. */
  readonly distortion: number;
}

/** Numbers of so many bits that share a code, at most: those that there are codebooks for. */
export function countTogether(bits: number): number {
  return CODEBOOKS.reduce(
    (most, each) => (each.bits === bits ? Math.max(most, each.count) : most),
    1,
  );
}

/** Mean squared error of a normal number at 0, 1, … bits, where as many as can share a code. */
export const DISTORTIONS: readonly number[] = Array.from({ length: MOST_BITS + 1 }, (_, bits) => {
  const joint = CODEBOOKS.find((each) => each.bits === bits && each.count === countTogether(bits));
  return joint?.distortion ?? normalLevels(bits).distortion;
});

const known = new Map<string, Codebook>();

/**
 * The codebook for `count` numbers of `bits` bits each, of a standard normal distribution: levels by Newton's method
 * for one (Max 1960), by Lloyd's for several, as test/make-codebooks.mjs does it.
 *
 * @param bits From 1 to 10.
 * @param count 1; with 1 bit up to 8, with 2 bits up to 4, with 3 and 4 bits up to 2.
 * @example
 * const { values, distortion } = findCodebook(2, 4); // 256 × 4 numbers; 0.098
 */
export function findCodebook(bits: number, count: number): Codebook {
  const key = `${bits} ${count}`;
  const before = known.get(key);
  if (before) return before;
  const made = count === 1 ? levelsOf(bits) : readCodebook(bits, count);
  known.set(key, made);
  return made;
}

function levelsOf(bits: number): Codebook {
  const { levels, distortion } = normalLevels(bits);
  return { bits, count: 1, values: Float32Array.from(levels), reach: levels.at(-1)!, distortion };
}

function readCodebook(bits: number, count: number): Codebook {
  const { values: text, distortion } = CODEBOOKS.find(
    (each) => each.bits === bits && each.count === count,
  )!;
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = view.getInt16(2 * i, true) / 8192;
  return {
    bits,
    count,
    values,
    reach: values.reduce((a, b) => Math.max(a, Math.abs(b)), 0),
    distortion,
  };
}

/** The values of the codebooks of some pieces, one codebook after the other, and where that of each piece begins. */
export function tableOf(pieces: readonly CodePiece[]): {
  readonly table: Float32Array;
  readonly starts: Int32Array;
} {
  const begins = new Map<Codebook, number>();
  let size = 0;
  const starts = Int32Array.from(pieces, ({ bits, count }) => {
    const codebook = findCodebook(bits, count);
    if (!begins.has(codebook)) {
      begins.set(codebook, size);
      size += codebook.values.length;
    }
    return begins.get(codebook)!;
  });
  const table = new Float32Array(size);
  begins.forEach((begin, { values }) => table.set(values, begin));
  return { table, starts };
}

/** The number of the nearest of rising levels. */
export function findLevel(value: number, levels: Float32Array): number {
  let [low, high] = [0, levels.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((levels[middle]! + levels[middle + 1]!) / 2 < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
