import { readFileSync } from 'node:fs';
import { holm, pairedDifference, summary } from '@espalier/study';
import type { Interval, Summary } from '@espalier/study';
import { describe, expect, test } from 'vitest';

/** What test/python/study_golden.py wrote. */
interface Golden {
  readonly resamples: number;
  readonly cases: readonly {
    readonly name: string;
    readonly values: readonly number[];
    readonly base: readonly number[];
    readonly t: number;
    readonly p: number;
    readonly intervals: readonly {
      readonly confidence: number;
      readonly summary: Summary;
      readonly difference: Summary;
      readonly bootstrap: Interval & { readonly spread: Interval };
    }[];
  }[];
  readonly holm: readonly { readonly p: number[]; readonly adjusted: number[] }[];
}

const golden = JSON.parse(
  readFileSync(new URL('./golden/scipy.golden.json', import.meta.url), 'utf8'),
) as Golden;

const rows = golden.cases.flatMap(({ intervals, ...pairs }) =>
  intervals.map((interval) => ({ ...pairs, ...interval })),
);

/** The largest relative gap of the named numbers. */
function relativeGap<Name extends string>(
  found: Readonly<Record<Name, number | null>>,
  expected: Readonly<Record<Name, number | null>>,
  ...names: readonly Name[]
): number {
  const gaps = names.map((name) => Math.abs(found[name]! / expected[name]! - 1));
  return Math.max(...gaps);
}

describe.each(rows)('SciPy, $name, at $confidence', (row) => {
  const { values, base, confidence, bootstrap } = row;

  test('t interval of a sample', () => {
    const found = summary(values, { confidence });
    expect(found.n).toBe(values.length);
    expect(relativeGap(found, row.summary, 'mean', 'sd', 'low', 'high')).toBeLessThan(1e-10);
  });

  test('paired t test and interval', () => {
    const found = pairedDifference(values, base, { confidence });
    expect(found.n).toBe(values.length);
    expect(relativeGap(found, row.difference, 'mean', 'sd', 'low', 'high')).toBeLessThan(1e-10);
    expect(relativeGap(found, row, 't', 'p')).toBeLessThan(1e-10);
  });

  // The Monte-Carlo error of an interval's end falls with the root of the number of resamples; SciPy's
  // spread at its number of them gives the constant. Five of them (and SciPy's own, a tenth) pass.
  test.each([1, 16])('BCa interval, %i times the resamples', (times) => {
    const resamples = times * golden.resamples;
    const found = pairedDifference(values, base, { confidence, resamples, seed: 7 }).bootstrap!;
    for (const end of ['low', 'high'] as const) {
      const error = bootstrap.spread[end] * (1 / Math.sqrt(times) + 0.1);
      expect(Math.abs(found[end] - bootstrap[end])).toBeLessThanOrEqual(5 * error + 1e-12);
    }
  });
});

// scipy.stats.t.ppf: in a sample of mean 0 and standard error 1 the end of the interval is t's quantile.
test.each([
  [2, 0.999999998, 318309877.5164611],
  [20, 0.9999999999998, 18.069118302453273],
  [10, 2e-7, 2.577087724178273e-7],
])('t interval of %i values at confidence %d', (n, confidence, end) => {
  const size = Math.sqrt(n - 1);
  const values = Array.from({ length: n }, (_, i) => (i % 2 === 0 ? size : -size));
  expect(summary(values, { confidence }).high! / end).toBeCloseTo(1, 9);
});

test.each(golden.holm)('Holm as by the definition, $p', ({ p, adjusted }) => {
  const found = holm(p);
  expect(found).toHaveLength(p.length);
  found.forEach((value, i) => expect(value).toBeCloseTo(adjusted[i]!, 14));
});

test('Holm of no test at all', () => expect(holm([])).toEqual([]));

test('one value has a mean and no spread', () => {
  expect(summary([3])).toEqual({ n: 1, mean: 3, sd: null, low: null, high: null });
});

test('one pair has a difference, no spread and no test', () => {
  expect(pairedDifference([3], [1])).toEqual({
    n: 1,
    mean: 2,
    sd: null,
    low: null,
    high: null,
    t: null,
    p: null,
    bootstrap: null,
  });
});

test('equal values have an interval of no width', () => {
  expect(summary([0.1, 0.1, 0.1])).toEqual({ n: 3, mean: 0.1, sd: 0, low: 0.1, high: 0.1 });
});

test.each([
  ['up', [3, 5, 4], [1, 3, 2], 2, Infinity],
  ['down', [1, 3, 2], [3, 5, 4], -2, -Infinity],
])('equal differences, %s: p 0, intervals of no width', (_, values, base, mean, t) => {
  const bootstrap = { low: mean, high: mean };
  const found = { n: 3, mean, sd: 0, low: mean, high: mean, t, p: 0, bootstrap };
  expect(pairedDifference(values, base)).toEqual(found);
});

test('no difference at all: p 1', () => {
  const found = pairedDifference([1, 3, 2], [1, 3, 2]);
  expect(found).toMatchObject({ mean: 0, sd: 0, low: 0, high: 0, t: 0, p: 1 });
});

test('differences that only rounding tells apart are equal', () => {
  const found = pairedDifference([0.3, 0.4, 0.9], [0.2, 0.3, 0.8]);
  expect(found).toMatchObject({ sd: 0, t: Infinity, p: 0 });
  expect(found.mean).toBeCloseTo(0.1, 15);
  expect(found.bootstrap).toEqual({ low: found.mean, high: found.mean });
});

test('differences that only rounding tells from 0 are 0', () => {
  const found = pairedDifference([0.1 + 0.2, 0.7], [0.3, 0.1 * 7]);
  expect(found).toMatchObject({ mean: 0, sd: 0, t: 0, p: 1 });
});

test('squares of tiny and of huge numbers neither vanish nor overflow', () => {
  const reference = summary([1, 2, 4]);
  for (const scale of [1e-200, 1e200]) {
    const found = summary([scale, 2 * scale, 4 * scale]);
    expect(found.sd! / scale).toBeCloseTo(reference.sd!, 12);
    expect(found.high! / scale).toBeCloseTo(reference.high!, 12);
  }
});

test('a confidence near 1 takes the bootstrap interval to the ends of the resampled means', () => {
  const values = Array.from({ length: 20 }, (_, i) => (i === 0 ? 1 : 0));
  const base = values.map(() => 0);
  const { bootstrap } = pairedDifference(values, base, { confidence: 1 - 1e-15 });
  expect(bootstrap!.low).toBeCloseTo(0, 12);
  expect(bootstrap!.high).toBeGreaterThan(0.2);
});

test('the bootstrap is drawn by its seed', () => {
  const values = [0.3, 1.9, 0.7, 2.2, 5.1, 0.2];
  const ends = (seed?: number | string) => pairedDifference(values, [0, 0, 0, 0, 0, 0], { seed });
  expect(ends(1)).toEqual(ends(1));
  expect(ends(1).bootstrap).not.toEqual(ends(2).bootstrap);
  expect(ends()).toEqual(ends(0));
});
