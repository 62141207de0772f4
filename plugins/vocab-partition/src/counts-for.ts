import { EspalierError } from '@espalier/core';
import { checkCounts, checkLength } from './check-counts.js';
import type { ParsedCounts } from './parse-counts.js';

/**
 * Counts in the order of a model's word ids: `[words of the vocabulary]`, 0 for those that were not
 * counted. Without words, counts are taken to be in that order already.
 *
 * @param vocabulary The word of each id.
 * @throws EspalierError `vocab-partition/words`, `vocab-partition/vocabulary` where no word is
 * known, `vocab-partition/counts`.
 */
export function alignCounts(
  vocabulary: readonly string[],
  { words, counts }: ParsedCounts,
): Float64Array {
  if (!words) return checkLength(checkCounts(counts), vocabulary.length);
  const byWord = new Map(words.map((word, i) => [word, counts[i]!]));
  if (vocabulary.some((word) => byWord.has(word))) {
    return checkCounts(vocabulary.map((word) => byWord.get(word) ?? 0));
  }
  throw new EspalierError('vocab-partition/vocabulary', {
    problem: `none of the ${words.length} counted words is in the vocabulary of ${vocabulary.length}`,
    received: words.slice(0, 3),
    fix: "Count words as the model's tokenizer writes them: case, marks of subwords.",
  });
}
