import { EspalierError } from '@espalier/base';

const LONGEST = 40; // characters of a word in an error

/** Where a vector is in its file. */
export type Place = { readonly line: number } | { readonly vector: number; readonly byte: number };

/** An error about the vector of a word; its details are the place and the word. */
export function wordError(
  place: Place,
  problem: string,
  fix: string,
  word?: string,
): EspalierError {
  return new EspalierError('matrices/words', {
    problem: `${describePlace(place)} ${problem}`,
    fix,
    details: { ...place, ...(word && { word }) },
  });
}

/** A word as errors show it. */
export function shorten(word: string): string {
  return word.length > LONGEST ? `${word.slice(0, LONGEST)}…` : word;
}

/** A place in words. */
export function describePlace(place: Place): string {
  return 'line' in place ? `line ${place.line}` : `vector ${place.vector} at byte ${place.byte}`;
}
