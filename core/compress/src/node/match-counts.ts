import { EspalierError } from '@espalier/core';
import type { WordCounts } from './read-counts.js';

/** How counts were matched by word with the rows of a matrix. */
export interface MatchedCounts {
  /** Rows whose word has a count. */
  readonly counted: number;
  readonly rows: number;
  /** Counted words that no row stands for. */
  readonly unknown: number;
}

/**
 * Counts in the order of rows, by word: 0 for rows whose word has none.
 *
 * @throws EspalierError `compress/counts` where no word has one.
 */
export function matchCounts(
  { counts, words }: Required<WordCounts>,
  rows: readonly string[],
): { readonly counts: Float64Array; readonly matched: MatchedCounts } {
  const byWord = new Map(words.map((word, i) => [word, counts[i]!]));
  const found = Float64Array.from(rows, (word) => byWord.get(word) ?? 0);
  const known = new Set(rows);
  const unknown = words.filter((word) => !known.has(word)).length;
  const counted = rows.filter((word) => byWord.has(word)).length;
  if (counted > 0) return { counts: found, matched: { counted, rows: rows.length, unknown } };
  throw new EspalierError('compress/counts', {
    problem: `none of the ${words.length} counted words is one of the ${rows.length} words of the input`,
    received: words.slice(0, 3),
    fix: `Count words as the input writes them: ${rows.slice(0, 3).join(', ')}, …`,
  });
}
