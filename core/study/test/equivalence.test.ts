import { readFileSync } from 'node:fs';
import { pairedDifference, testEquivalence } from '@espalier/study';
import { expect, test } from 'vitest';

/** What test/python/equivalence_golden.py wrote. */
interface Golden {
  readonly difference: readonly number[];
  readonly margin: number;
  readonly p: number;
  readonly excludesGain: boolean;
  readonly excludesLoss: boolean;
  readonly above: boolean;
  readonly below: boolean;
}

const cases = JSON.parse(
  readFileSync(new URL('golden/equivalence.golden.json', import.meta.url), 'utf8'),
) as readonly Golden[];

const differenceOf = (difference: readonly number[]) =>
  pairedDifference(
    difference,
    difference.map(() => 0),
  );

test.each(cases)('as two one-sided tests of SciPy: $difference', (golden) => {
  const { p, place } = testEquivalence(differenceOf(golden.difference), golden.margin);
  expect(Math.abs(p! - golden.p)).toBeLessThan(1e-10 * Math.max(golden.p, 1e-3));
  expect({
    excludesGain: ['within', 'not-above', 'below'].includes(place),
    excludesLoss: ['within', 'not-below', 'above'].includes(place),
    above: place === 'above',
    below: place === 'below',
  }).toEqual({
    excludesGain: golden.excludesGain,
    excludesLoss: golden.excludesLoss,
    above: golden.above,
    below: golden.below,
  });
});

test('the other sign is the mirror image', () => {
  const mirror = {
    above: 'below',
    below: 'above',
    'not-above': 'not-below',
    'not-below': 'not-above',
  };
  for (const { difference, margin } of cases) {
    const one = testEquivalence(differenceOf(difference), margin);
    const other = testEquivalence(differenceOf(difference.map((each) => -each)), margin);
    expect(other.place).toBe((mirror as Record<string, string>)[one.place] ?? one.place);
    expect(other.p).toBeCloseTo(one.p!, 12);
  }
});

test('one pair tells nothing; equal differences have no spread', () => {
  expect(testEquivalence(differenceOf([0]), 1)).toEqual({ margin: 1, place: 'open', p: null });
  expect(testEquivalence(differenceOf([0.5, 0.5]), 1)).toMatchObject({ place: 'within', p: 0 });
  expect(testEquivalence(differenceOf([2, 2]), 1)).toMatchObject({ place: 'above', p: 1 });
});

test.each([0, -1, NaN, Infinity])('a margin of %d is refused', (margin) => {
  expect(() => testEquivalence(differenceOf([1, 2]), margin)).toThrow(/above 0/);
});
