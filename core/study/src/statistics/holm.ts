import { EspalierError } from '@espalier/base';

/**
 * Adjusted p values of a family of tests, in the order given, by the step-down method of Holm 1979 ("A
 * simple sequentially rejective multiple test procedure"): the k-th smallest of m is multiplied by
 * m − k + 1, raised to the largest before it, and capped at 1. Rejecting where the adjusted value is at
 * most α keeps the chance of any false rejection at α, whatever the dependence of the tests.
 *
 * @throws EspalierError `study/p-value` with the index, if one is NaN or outside [0, 1].
 * @example
 * holm([0.01, 0.04, 0.03]); // [0.03, 0.06, 0.06]
 */
export function holm(p: readonly number[]): number[] {
  p.forEach(checkProbability);
  const adjusted = new Array<number>(p.length);
  const ascending = p.map((_, i) => i).sort((a, b) => p[a]! - p[b]!);
  let largest = 0;
  ascending.forEach((index, k) => {
    largest = Math.max(largest, Math.min(1, (p.length - k) * p[index]!));
    adjusted[index] = largest;
  });
  return adjusted;
}

function checkProbability(p: number, index: number): void {
  if (p >= 0 && p <= 1) return;
  throw new EspalierError('study/p-value', {
    problem: `p[${index}] is not a number from 0 to 1`,
    received: p,
    fix: 'Leave out comparisons that have no p value, such as those of one pair.',
  });
}
