import { EspalierError, matches } from '@espalier/core';

/** Terms that make the outer loss: patterns, each at weight 1, or the weight of each pattern. */
export type OuterTerms = readonly string[] | Readonly<Record<string, number>>;

/**
 * The weight of a loss term in the outer loss, which takes its unweighted value: 0 where no pattern fits. Of
 * several patterns that fit, the longest counts.
 */
export function weighTerm(terms: OuterTerms, name: string): number {
  const weights = Object.entries(toWeights(terms)).filter(([pattern]) => matches(pattern, name));
  return weights.sort(([a], [b]) => b.length - a.length)[0]?.[1] ?? 0;
}

/** @throws EspalierError `bilevel/loss` for a pattern that fits no term. */
export function refuseUnmatched(terms: OuterTerms, names: readonly string[]): void {
  const patterns = Object.keys(toWeights(terms));
  const unmatched = patterns.find((pattern) => !names.some((name) => matches(pattern, name)));
  if (unmatched === undefined) return;
  throw new EspalierError('bilevel/loss', {
    problem: `no term of the loss fits '${unmatched}' of the option loss`,
    received: terms,
    fix: `The terms are ${names.join(', ')}.`,
  });
}

function toWeights(terms: OuterTerms): Readonly<Record<string, number>> {
  if (!isList(terms)) return terms;
  return Object.fromEntries(terms.map((pattern) => [pattern, 1]));
}

function isList(terms: OuterTerms): terms is readonly string[] {
  return Array.isArray(terms);
}
