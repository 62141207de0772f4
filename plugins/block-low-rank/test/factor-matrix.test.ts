import { relativeError } from '@espalier/compression';
import { expandFactors, factorMatrix, uniformRanks } from '@espalier/plugin-block-low-rank';
import type { FactorOptions } from '@espalier/plugin-block-low-rank';
import { partitioner } from '@espalier/plugin-vocab-partition';
import { onBackend } from '@espalier/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import { COLUMNS, randomMatrix, WORDS, zipf } from './models.js';
import { leastError, rowsOf, weightedError } from './reference.js';

beforeAll(() => onBackend('cpu'));

const data = randomMatrix(WORDS, COLUMNS, 4);
const matrix = { data, rows: WORDS, columns: COLUMNS };
const ROWS = rowsOf(data, COLUMNS);
const counts = zipf().map((count) => Math.max(1, count));
const zeros = ROWS.map((row) => row.map(() => 0));

describe('one block', () => {
  test.each<[string, Float64Array | undefined]>([
    ['all rows alike', undefined],
    ['rows weighted by counts', counts],
  ])('%s: the least error that the rank allows', async (_, weights) => {
    const lowRank = await factorMatrix(matrix, { rank: 3, weights });
    const close = rowsOf(expandFactors(lowRank).data, COLUMNS);
    const each = weights ?? new Float64Array(WORDS).fill(1);
    const reached = weightedError(ROWS, close, each);
    const least = leastError(ROWS, each, 3);
    expect(reached / least).toBeCloseTo(1, 3);
    const whole = weightedError(ROWS, zeros, each);
    expect(lowRank.weightedError).toBeCloseTo(Math.sqrt(reached / whole), 5);
    expect(lowRank.error).toBeCloseTo(relativeError(matrix, expandFactors(lowRank)), 5);
  });

  test('the bytes are those of the factors, and keep the ratio', async () => {
    const { bytes, weights } = await factorMatrix(matrix, { ratio: 2 });
    const stored = Object.values(weights).reduce((sum, each) => sum + each.data.byteLength, 0);
    expect(bytes).toBe(stored);
    expect(bytes).toBeLessThanOrEqual(data.byteLength / 2);
  });
});

test('blocks by counts: each is the best of its own rows, and rows come back in their order', async () => {
  const cut = partitioner({ method: 'equal-size', blocks: 3 });
  const mixed = Float64Array.from(counts, (_, i) => counts[(7 * i) % WORDS]!);
  const options = { counts: mixed, partitioner: cut, rank: [1, 2, 2], allocator: uniformRanks };
  const lowRank = await factorMatrix(matrix, options);
  expect(lowRank.blocks.map(({ rank }) => rank)).toEqual([1, 2, 2]);
  const [{ order, sizes }] = cut.candidates(mixed) as [{ order: Int32Array; sizes: number[] }];
  const close = rowsOf(expandFactors(lowRank).data, COLUMNS);
  let begin = 0;
  sizes.forEach((size, p) => {
    const own = [...order.subarray(begin, (begin += size))];
    const [before, after] = [ROWS, close].map((rows) => own.map((row) => rows[row]!));
    const ones = new Float64Array(size).fill(1);
    const least = leastError(before!, ones, [1, 2, 2][p]!);
    expect(weightedError(before!, after!, ones) / least).toBeCloseTo(1, 3);
  });
});

test('factors are multiplied as written, dense blocks are taken as they are', () => {
  const close = expandFactors({
    rows: 4,
    columns: 2,
    blocks: [
      { rows: 1, rank: null },
      { rows: 2, rank: 1 },
      { rows: 1, rank: 1 },
    ],
    weights: {
      w0: { data: Float32Array.of(5, 6), rows: 1, columns: 2 },
      u1: { data: Float32Array.of(2, 3), rows: 2, columns: 1 },
      u2: { data: Float32Array.of(-1), rows: 1, columns: 1 },
      basis: { data: Float32Array.of(1, 10, 100, 1000), rows: 2, columns: 2 },
    },
    index: Int32Array.of(3, 0, 2, 1),
  });
  expect(rowsOf(close.data, 2)).toEqual([
    [-100, -1000],
    [5, 6],
    [3, 30],
    [2, 20],
  ]);
});

test.each<[string, FactorOptions, RegExp]>([
  ['two targets', { ratio: 4, rank: 2 }, /give one of ratio, budget, maxError and rank/],
  ['a misspelt option', { ratoi: 4 } as FactorOptions, /'ratoi'.*'ratio'\?/],
  ['too small a budget', { budget: 8 }, /takes \d+ bytes at least.*block-low-rank\/budget/s],
  ['a rank above the columns', { rank: 99 }, /block-low-rank\/rank/],
  ['too few counts', { counts: [1, 2] }, /2 counts.*block-low-rank\/counts/s],
  ['too few weights', { weights: [1, 2] }, /linalg\/weights/],
])('%s is refused by name', async (_, options, message) => {
  await expect(factorMatrix(matrix, options)).rejects.toThrow(message);
});

test('a number that is not finite is named by row and column', async () => {
  const bad = Float32Array.from(data);
  bad[COLUMNS + 1] = NaN;
  await expect(factorMatrix({ ...matrix, data: bad })).rejects.toThrow(/row 1, column 1/);
});
