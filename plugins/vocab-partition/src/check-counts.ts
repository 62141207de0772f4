import { EspalierError } from '@espalier/core';

/**
 * Word counts as float64, checked. Fractions are welcome: relative frequencies, weighted counts.
 *
 * @throws EspalierError `vocab-partition/counts`: there are none, one is negative or not finite, or
 * all are zero.
 */
export function checkCounts(counts: ArrayLike<number>): Float64Array {
  const checked = Float64Array.from(counts);
  const bad = checked.findIndex((count) => !(count >= 0 && count < Infinity));
  if (bad >= 0) {
    throw new EspalierError('vocab-partition/counts', {
      problem: `the count of word ${bad} must be finite and 0 or more`,
      received: checked[bad],
      fix: 'Count how often each word occurs; 0 for words that never do.',
    });
  }
  if (checked.some((count) => count > 0)) return checked;
  throw new EspalierError('vocab-partition/counts', {
    problem: checked.length === 0 ? 'there are no word counts' : 'all word counts are zero',
    received: `${checked.length} counts`,
    fix: 'Give counts of the text that the model is trained on.',
  });
}

/** Counts that must be one for each of `words` rows. */
export function checkLength(counts: Float64Array, words: number): Float64Array {
  if (counts.length === words) return counts;
  throw new EspalierError('vocab-partition/words', {
    problem: `there are ${counts.length} word counts, and the matrix has ${words} rows`,
    received: counts.length,
    fix: "Give one count for each row, in the order of the word ids; 0 for rows that stand for no word. Where counts come by word, give the model's vocabulary too.",
  });
}
