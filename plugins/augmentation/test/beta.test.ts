import { keyedRng } from '@espalier/core';
import { drawBeta } from '@espalier/plugin-augmentation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

describe.each([0.1, 0.2, 0.5, 1, 2, 8])('Beta(%d, itself)', (alpha) => {
  const n = 20_000;
  const draw = keyedRng(0, 'beta', alpha);
  const draws = Float64Array.from({ length: n }, () => drawBeta(alpha, draw));
  const mean = (of: (x: number) => number) => draws.reduce((sum, x) => sum + of(x), 0) / n;

  // Moments and their standard errors come from E[xᵏ] = Π (α + i) / (2α + i).
  const power = (k: number) =>
    Array.from({ length: k }, (_, i) => (alpha + i) / (2 * alpha + i)).reduce((a, b) => a * b, 1);

  test.each([1, 2, 3, 4])('has the moment %d', (k) => {
    const error = Math.sqrt((power(2 * k) - power(k) ** 2) / n);
    expect(Math.abs(mean((x) => x ** k) - power(k))).toBeLessThan(4 * error);
  });

  test('falls below 1/4 as often as above 3/4', () => {
    const below = mean((x) => Number(x < 0.25)) - mean((x) => Number(x > 0.75));
    expect(Math.abs(below)).toBeLessThan(4 / Math.sqrt(n));
  });
});

test('Beta(1, 1) is uniform', () => {
  const draw = keyedRng(0, 'uniform');
  const tenths = new Array<number>(10).fill(0);
  for (let i = 0; i < 20_000; i++) tenths[Math.floor(drawBeta(1, draw) * 10)]! += 1;
  tenths.forEach((count) => expect(Math.abs(count - 2000)).toBeLessThan(4 * Math.sqrt(1800)));
});

test('any positive α gives a number from 0 to 1', () => {
  fc.assert(
    fc.property(
      fc.double({ min: Number.MIN_VALUE, max: Number.MAX_VALUE, noNaN: true }),
      fc.integer(),
      (alpha, seed) => {
        const value = drawBeta(alpha, keyedRng(seed, 'any'));
        return value >= 0 && value <= 1;
      },
    ),
  );
});
