import { EspalierError } from '@espalier/core';

/** The words, each of which must be there once; `place` says where the i-th stands. */
export function checkDistinct(
  words: readonly string[],
  place: (i: number) => string,
): readonly string[] {
  const seen = new Map<string, number>();
  for (const [i, word] of words.entries()) {
    const first = seen.get(word);
    if (first !== undefined) {
      throw new EspalierError('vocab-partition/parse', {
        problem: `the word of ${place(i)} stands in ${place(first)} already`,
        received: word,
        fix: 'Count each word once.',
      });
    }
    seen.set(word, i);
  }
  return words;
}
