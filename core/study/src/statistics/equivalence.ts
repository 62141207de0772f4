import { EspalierError } from '@espalier/base';
import { tCdf } from './distributions.js';
import type { Summary } from './summary.js';

/**
 * Where the interval of a difference lies against ±margin. `within`: both effects of that size are
 * excluded; `above`, `below`: the difference is at least that large; `not-above`, `not-below`: an effect of that
 * size is excluded on that side alone; `open`: on neither.
 */
export type EffectPlace = 'within' | 'above' | 'below' | 'not-above' | 'not-below' | 'open';

/** What a paired difference says of effects of a size. */
export interface Equivalence {
  readonly margin: number;
  /** Of the interval that the summary has. */
  readonly place: EffectPlace;
  /** p of the two one-sided tests that the mean is within ±margin; null for one pair. */
  readonly p: number | null;
}

/**
 * Whether a mean difference excludes effects of the size `margin`, the smallest of interest: by its interval,
 * and by two one-sided t tests (Schuirmann 1987, "A comparison of the two one-sided tests procedure and the power
 * approach"), whose p is the larger of both. That p is below α where the 1 − 2α interval lies within
 * ±margin: a 95 % interval is the stricter of the two.
 *
 * @param difference Mean, spread and interval of paired differences, as `pairedDifference` gives them.
 * @param margin In the unit of the difference.
 * @throws EspalierError `study/margin`.
 * @example
 * testEquivalence(pairedDifference(values, base), 0.005).place; // 'within'
 */
export function testEquivalence(difference: Summary, margin: number): Equivalence {
  if (!(margin > 0 && Number.isFinite(margin))) {
    throw new EspalierError('study/margin', {
      problem: 'the smallest effect of interest must be a number above 0',
      received: margin,
      fix: 'Pass 0.005 for half a point of accuracy.',
    });
  }
  return { margin, place: findPlace(difference, margin), p: computeP(difference, margin) };
}

function findPlace({ low, high }: Summary, margin: number): EffectPlace {
  if (low === null || high === null) return 'open';
  if (low >= margin) return 'above';
  if (high <= -margin) return 'below';
  const [noLoss, noGain] = [low > -margin, high < margin];
  if (noLoss && noGain) return 'within';
  return noGain ? 'not-above' : noLoss ? 'not-below' : 'open';
}

function computeP({ n, mean, sd }: Summary, margin: number): number | null {
  if (sd === null) return null;
  const room = margin - Math.abs(mean);
  if (sd === 0) return room > 0 ? 0 : 1;
  return tCdf(-room / (sd / Math.sqrt(n)), n - 1);
}
