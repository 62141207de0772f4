import {
  eigenpairs,
  gram,
  project,
  residuals,
  spectrum,
  squareRoot,
  weightedLowRank,
} from '@espalier/linalg';
import { backendsUnderTest, onBackend } from '@espalier/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import { matrix } from './reference.js';

const good = matrix(6, 4, (i, j) => i + j * j);
const changed = (row: number, column: number, value: number) =>
  matrix(6, 4, (i, j) => (i === row && j === column ? value : i + j * j));
const weights = (...values: number[]) => ({ rank: 2, weights: values });

describe.each(backendsUnderTest())('bad input on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['rank 0', () => weightedLowRank(good, { rank: 0 }), /from 1 to 4.*Received: 0.*linalg\/rank/],
    ['rank 1.5', () => weightedLowRank(good, { rank: 1.5 }), /Received: 1.5.*linalg\/rank/],
    ['rank above columns', () => weightedLowRank(good, { rank: 5 }), /from 1 to 4.*6 × 4/],
    [
      'rank above selected rows',
      () => weightedLowRank(good, { rank: 3, select: Int32Array.of(0, 1) }),
      /from 1 to 2.*2 × 4.*linalg\/rank/,
    ],
    [
      'no row selected',
      () => weightedLowRank(good, { rank: 1, select: new Int32Array(0) }),
      /at least one row.*linalg\/rank/,
    ],
    ['row −1', () => gram(good, { select: Int32Array.of(2, -1) }), /Received: -1.*linalg\/select/],
    [
      'row 6',
      () =>
        residuals(
          good,
          matrix(4, 1, () => 1),
          { select: Int32Array.of(6) },
        ),
      /0 to 5.*linalg\/select/,
    ],
    ['too few numbers', () => gram({ ...good, columns: 5 }), /30 numbers.*24.*linalg\/size/],
    ['NaN', () => gram(changed(3, 2, NaN)), /row 3, column 2.*NaN.*linalg\/not-finite/],
    ['−∞', () => gram(changed(0, 3, -Infinity)), /row 0, column 3.*-Infinity/],
    [
      'NaN in a row of weight 0',
      () => weightedLowRank(changed(1, 1, NaN), weights(1, 0, 1, 1, 1, 1)),
      /row 1, column 1.*linalg\/not-finite/,
    ],
    [
      'NaN, fewer rows than columns',
      () => weightedLowRank(changed(2, 1, NaN), { rank: 1, select: Int32Array.of(0, 2) }),
      /row 2, column 1/,
    ],
    [
      'NaN',
      () =>
        project(
          changed(3, 2, NaN),
          matrix(4, 1, () => 1),
        ),
      /row 3, column 2/,
    ],
    [
      '∞',
      () =>
        residuals(
          changed(5, 0, Infinity),
          matrix(4, 1, () => 1),
        ),
      /row 5, column 0/,
    ],
    [
      'weighted squares that overflow',
      () => gram(changed(0, 0, 1e30), { weights: new Float64Array(6).fill(1e300) }),
      /overflow.*linalg\/overflow/,
    ],
    [
      'NaN in many columns',
      () => spectrum(matrix(140, 4000, (i, j) => (i === 7 && j === 3999 ? NaN : i + j))),
      /row 7, column 3999.*NaN.*linalg\/not-finite/,
    ],
    ['count above the rows', () => spectrum(good, { count: 5 }), /from 1 to.*4.*linalg\/count/],
    [
      'count above the selected rows',
      () => spectrum(good, { count: 3, select: Int32Array.of(1, 2) }),
      /from 1 to.*2.*linalg\/count/,
    ],
    ['5 weights', () => weightedLowRank(good, weights(1, 1, 1, 1, 1)), /6 in all.*Received: 5/],
    ['−1', () => weightedLowRank(good, weights(1, -1, 1, 1, 1, 1)), /row 1.*-1.*linalg\/weights/],
    ['NaN weight', () => weightedLowRank(good, weights(1, 1, NaN, 1, 1, 1)), /row 2.*NaN/],
    ['∞ weight', () => weightedLowRank(good, weights(1, 1, 1, 1, 1, Infinity)), /row 5/],
    ['zero weights', () => weightedLowRank(good, weights(0, 0, 0, 0, 0, 0)), /all.*0/],
    [
      'v too short',
      () =>
        project(
          good,
          matrix(3, 1, () => 1),
        ),
      /4 columns.*3 × 1.*linalg\/size/,
    ],
    [
      'v too short',
      () =>
        residuals(
          good,
          matrix(3, 1, () => 1),
        ),
      /linalg\/size/,
    ],
    ['metric of another size', () => metric(9), /16 numbers.*9.*linalg\/size/],
    ['metric with NaN', () => metric(16, NaN), /row 0, column 0.*NaN.*linalg\/not-finite/],
    ['count 0', () => eigenpairs(new Float64Array(4), 2, { count: 0 }), /1 to the size, 2.*0/],
    ['count 3 of 2', () => eigenpairs(new Float64Array(4), 2, { count: 3 }), /linalg\/count/],
    ['size', () => eigenpairs(new Float64Array(5), 2), /4 numbers.*5.*linalg\/size/],
    ['size', () => squareRoot(new Float64Array(5), 2), /4 numbers.*5.*linalg\/size/],
  ])('%s', async (_, run, message) => {
    await expect(run).rejects.toThrow(message);
  });

  test('NaN in a row that is not selected does not matter', async () => {
    const sum = await gram(changed(3, 2, NaN), { select: Int32Array.of(0, 1) });
    expect(sum.every(Number.isFinite)).toBe(true);
  });
});

function metric(length: number, value = 1): Promise<unknown> {
  return weightedLowRank(good, { rank: 1, metric: new Float64Array(length).fill(value) });
}
