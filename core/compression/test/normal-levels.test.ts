import { normalDistortions, normalLevels } from '@espalier/compression';
import { expect, test } from 'vitest';

/** Max 1960, table 1, for 0 to 5 bits; the last one is known to be 0.002505 by now. */
const PUBLISHED = [1, 0.3634, 0.1175, 0.03454, 0.009497, 0.002505];

test('errors are those that are published', () => {
  const found = normalDistortions(5);
  PUBLISHED.forEach((value, bits) => expect(found[bits]! / value).toBeCloseTo(1, 3));
});

test('levels of one and two bits in closed form and as published', () => {
  expect(Array.from(normalLevels(1).levels)).toEqual([
    expect.closeTo(-Math.sqrt(2 / Math.PI), 12),
    expect.closeTo(Math.sqrt(2 / Math.PI), 12),
  ]);
  const [, , inner, outer] = normalLevels(2).levels;
  expect(inner).toBeCloseTo(0.4528, 4);
  expect(outer).toBeCloseTo(1.5104, 4);
});

test.each([3, 5, 8])('levels of %i bits are means of the numbers nearest to them', (bits) => {
  const { levels, distortion } = normalLevels(bits);
  expect(levels).toHaveLength(2 ** bits);
  const sums = levels.map(() => 0);
  const masses = levels.map(() => 0);
  let error = 0;
  const width = 1e-4;
  let nearest = 0;
  for (let x = -9; x < 9; x += width) {
    const mass = (width * Math.exp(-(x ** 2) / 2)) / Math.sqrt(2 * Math.PI);
    while (nearest + 1 < levels.length && levels[nearest + 1]! - x < x - levels[nearest]!)
      nearest++;
    masses[nearest]! += mass;
    sums[nearest]! += mass * x;
    error += mass * (x - levels[nearest]!) ** 2;
  }
  levels.forEach((level, i) => expect(sums[i]! / masses[i]!).toBeCloseTo(level, 3));
  expect(error / distortion).toBeCloseTo(1, 3);
});

test('each bit takes away more than half of the error, and ever nearer to three quarters', () => {
  const found = normalDistortions(9);
  const ratios = found.slice(1).map((value, i) => value / found[i]!);
  ratios.slice(1).forEach((ratio, i) => expect(ratio).toBeLessThan(ratios[i]!));
  expect(ratios.at(-1)).toBeGreaterThan(0.25);
});
