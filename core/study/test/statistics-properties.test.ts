import { holm, pairedDifference, summary } from '@espalier/study';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const RESAMPLES = 1000;

/** Multiples of 1/64: sums, differences and shifts of them are exact. */
const number = fc.integer({ min: -6400, max: 6400 }).map((n) => n / 64);
const pairs = fc.array(fc.tuple(number, number), { minLength: 2, maxLength: 12 });
const probabilities = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 });

type Pairs = readonly (readonly [number, number])[];

function difference(of: Pairs, seed = 0) {
  const [values, base] = [of.map(([value]) => value), of.map(([, of]) => of)];
  return pairedDifference(values, base, { seed, resamples: RESAMPLES });
}

/** Every number of a result, flat, rounded to nine digits after the point. */
function rounded({ bootstrap, ...rest }: ReturnType<typeof pairedDifference>): number[] {
  const { n, mean, sd, low, high, t, p } = rest;
  const all = [n, mean, sd!, low!, high!, t!, p!, bootstrap!.low, bootstrap!.high];
  return all.map((value) => Math.round(value * 1e9) / 1e9 + 0);
}

const property = <T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => void) =>
  fc.assert(fc.property(arbitrary, holds));

test('a shift of both sides of every pair changes nothing', () => {
  property(fc.tuple(pairs, fc.array(number, { minLength: 12, maxLength: 12 })), ([of, shifts]) => {
    const shifted: Pairs = of.map(([value, base], i) => [value + shifts[i]!, base + shifts[i]!]);
    expect(difference(shifted)).toEqual(difference(of));
  });
});

test('a shift of the values shifts mean and intervals, and leaves the spread', () => {
  const values = fc.array(number, { minLength: 2, maxLength: 12 });
  property(fc.tuple(values, number), ([of, shift]) => {
    const [before, after] = [summary(of), summary(of.map((value) => value + shift))];
    expect(after.sd).toBeCloseTo(before.sd!, 9);
    expect(after.mean).toBeCloseTo(before.mean + shift, 9);
    expect(after.low).toBeCloseTo(before.low! + shift, 9);
    expect(after.high).toBeCloseTo(before.high! + shift, 9);
  });
});

test('exchanging values and base turns the signs and nothing else', () => {
  property(pairs, (of) => {
    const [there, back] = [difference(of), difference(of.map(([a, b]) => [b, a]))];
    fc.pre(there.mean !== 0);
    const turned = {
      ...back,
      mean: -back.mean,
      low: -back.high!,
      high: -back.low!,
      t: -back.t!,
      bootstrap: { low: -back.bootstrap!.high, high: -back.bootstrap!.low },
    };
    expect(rounded(turned)).toEqual(rounded(there));
  });
});

test('the order of the pairs does not matter', () => {
  const shuffled = pairs.chain((of) =>
    fc.tuple(fc.constant(of), fc.shuffledSubarray(of, { minLength: of.length })),
  );
  property(shuffled, ([of, other]) => {
    expect(difference(other)).toEqual(difference(of));
    expect(summary(other.map(([value]) => value))).toEqual(summary(of.map(([value]) => value)));
  });
});

test('the bootstrap interval is ordered and within the differences', () => {
  property(fc.tuple(pairs, fc.integer()), ([of, seed]) => {
    const { low, high } = difference(of, seed).bootstrap!;
    const differences = of.map(([value, base]) => value - base);
    expect(low).toBeLessThanOrEqual(high);
    expect(low).toBeGreaterThanOrEqual(Math.min(...differences) - 1e-9);
    expect(high).toBeLessThanOrEqual(Math.max(...differences) + 1e-9);
  });
});

test('the t interval leaves 0 out exactly where p is below 1 − confidence', () => {
  property(pairs, (of) => {
    const { low, high, p } = difference(of);
    fc.pre(Math.abs(p! - 0.05) > 1e-9);
    expect(low! > 0 || high! < 0).toBe(p! < 0.05);
  });
});

test('Holm: at least p, at most Bonferroni, at most 1, in the order of p', () => {
  property(probabilities, (p) => {
    const adjusted = holm(p);
    p.forEach((value, i) => {
      expect(adjusted[i]).toBeGreaterThanOrEqual(value);
      expect(adjusted[i]).toBeLessThanOrEqual(Math.min(1, p.length * value));
      p.forEach((other, j) => {
        if (value <= other) expect(adjusted[i]).toBeLessThanOrEqual(adjusted[j]!);
      });
    });
  });
});

test('Holm: the order of the tests does not matter', () => {
  const shuffled = probabilities.chain((p) =>
    fc.tuple(fc.constant(p), fc.shuffledSubarray([...p.keys()], { minLength: p.length })),
  );
  property(shuffled, ([p, order]) => {
    const adjusted = holm(p);
    expect(holm(order.map((i) => p[i]!))).toEqual(order.map((i) => adjusted[i]));
  });
});
