import { floorCounts, relativeError } from '@espalier/compression';
import type { Matrix } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import { codeMatrix, codeRows, expandCodes } from '@espalier/plugin-block-low-rank';
import type { BlockCodedMatrix } from '@espalier/plugin-block-low-rank';
import { dequantize, quantize } from '@espalier/plugin-quantizer';
import { onBackend } from '@espalier/testkit';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';

beforeAll(() => onBackend('wasm'));

/** Normal numbers whose columns are of falling size after a random mixing of neighbours. */
function drawMatrix(rows: number, columns: number, seed = 0, fall = 0.8): Matrix {
  const draw = keyedRng(seed, 'matrix');
  const normal = () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
  const data = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) data[i * columns + j] = normal() * fall ** j;
    for (let j = 1; j < columns; j++) {
      const [a, b] = [data[i * columns + j - 1]!, data[i * columns + j]!];
      data[i * columns + j - 1] = 0.8 * a - 0.6 * b;
      data[i * columns + j] = 0.6 * a + 0.8 * b;
    }
  }
  return { data, rows, columns };
}

const zipf = (rows: number) =>
  Float64Array.from({ length: rows }, (_, i) => Math.ceil(rows / (i + 1)));

function countBytes({ config, weights }: BlockCodedMatrix): number {
  const parts = Object.values(weights).map(({ byteLength }) => byteLength);
  return parts.reduce((sum, each) => sum + each, JSON.stringify(config).length);
}

const failing = (code: string) => expect.objectContaining({ code }) as Error;

describe('size', () => {
  test('is within what was asked for, every byte counted', async () => {
    const sizes = fc.record({
      rows: fc.integer({ min: 150, max: 700 }),
      columns: fc.integer({ min: 4, max: 24 }),
      ratio: fc.double({ min: 2.5, max: 12, noNaN: true }),
      seed: fc.nat(99),
      shuffled: fc.boolean(),
    });
    const property = fc.asyncProperty(sizes, async ({ rows, columns, ratio, seed, shuffled }) => {
      const matrix = drawMatrix(rows, columns, seed);
      const order = keyedRng(seed, 'order').permutation(rows);
      const counts = shuffled ? zipf(rows).map((_, i, all) => all[order[i]!]!) : zipf(rows);
      const coded = await codeMatrix(matrix, { ratio, counts });
      expect(coded.bytes).toBe(countBytes(coded));
      expect(coded.bytes).toBeLessThanOrEqual((4 * rows * columns) / ratio);
      expect(coded.ratio).toBeCloseTo((4 * rows * columns) / coded.bytes, 9);
      expect(coded.error).toBeCloseTo(relativeError(matrix, expandCodes(coded)), 4);
    });
    await fc.assert(property, { numRuns: 12, seed: 1 });
  });

  test('below what any codes take is refused, and what is told is reached', async () => {
    const matrix = drawMatrix(2000, 10);
    const refused = (await codeMatrix(matrix, { budget: 100 }).catch((e: unknown) => e)) as Error;
    expect(refused).toMatchObject({ code: 'block-codes/budget' });
    const { leastBytes } = (refused as unknown as { parts: { details: { leastBytes: number } } })
      .parts.details;
    const { bytes, weightedError } = await codeMatrix(matrix, { budget: leastBytes });
    expect(bytes).toBeLessThanOrEqual(leastBytes);
    expect(weightedError).toBeLessThan(1);
  });

  test.each([
    [32, 2000],
    [20, 20000],
  ])(
    'few frequent rows before many rare ones at %i times: the budget is spent',
    async (ratio, frequent) => {
      const counts = Float64Array.from({ length: 5000 }, (_, i) => (i < 1000 ? frequent : 1));
      const matrix = drawMatrix(5000, 30, 3, 1);
      const { bytes, error, weightedError } = await codeMatrix(matrix, {
        ratio,
        counts,
        objective: 'counts',
      });
      expect(bytes).toBeGreaterThan((0.98 * 4 * 150_000) / ratio);
      expect(weightedError).toBeLessThan(0.12);
      expect(error).toBeGreaterThan(0.5);
    },
  );

  test('many bits leave almost no error', async () => {
    const { error, ratio } = await codeMatrix(drawMatrix(3000, 12), { ratio: 2 });
    expect(error).toBeLessThan(0.005);
    expect(ratio).toBeGreaterThan(2);
  });
});

describe('error', () => {
  const matrix = drawMatrix(1500, 12, 5);
  const counts = zipf(1500);

  test('is near what was predicted, and the front falls', async () => {
    const coded = await codeMatrix(matrix, { ratio: 8, objective: 'uniform' });
    expect(coded.weightedError).toBeCloseTo(coded.error, 9);
    expect(Math.abs(coded.weightedError / coded.predictedError - 1)).toBeLessThan(0.05);
    const front = coded.predictFront([4, 8, 16]);
    expect(front.map(({ ratio }) => ratio)).toEqual([4, 8, 16]);
    expect(front[1]!.error).toBeCloseTo(coded.predictedError, 2);
    expect(front[0]!.error).toBeLessThan(front[1]!.error);
    expect(front[1]!.error).toBeLessThan(front[2]!.error);
  });

  test('by counts is the weighted one, and less than without', async () => {
    const coded = await codeMatrix(matrix, { ratio: 12, objective: 'counts', counts });
    const close = expandCodes(coded);
    const weights = floorCounts(counts);
    expect(coded.weightedError).toBeCloseTo(relativeError(matrix, close, { weights }), 4);
    const plain = await codeMatrix(matrix, { ratio: 12, objective: 'uniform' });
    expect(coded.weightedError).toBeLessThan(
      0.8 * relativeError(matrix, expandCodes(plain), { weights }),
    );
    expect(coded.error).toBeGreaterThan(plain.error);
  });

  test('reaches rows that are much longer than those that weigh most', async () => {
    const lengthen = (value: number, at: number) => value * Math.min(100, 1 + Math.floor(at / 12));
    const longer = { ...matrix, data: matrix.data.map(lengthen) };
    const often = counts.map((count) => 1000 * count);
    const coded = await codeMatrix(longer, { ratio: 3, objective: 'counts', counts: often });
    expect(coded.weightedError).toBeLessThan(2 * coded.predictedError);
  });

  test('of neighbours is the mean squared sine', async () => {
    const coded = await codeMatrix(matrix, { ratio: 10, objective: { neighbours: 1 } });
    const { data } = expandCodes(coded);
    let sum = 0;
    for (let i = 0; i < 1500; i++) {
      let [product, a, b] = [0, 0, 0];
      for (let at = i * 12; at < (i + 1) * 12; at++) {
        product += matrix.data[at]! * data[at]!;
        a += matrix.data[at]! ** 2;
        b += data[at]! ** 2;
      }
      sum += b > 0 ? 1 - product ** 2 / (a * b) : 1;
    }
    expect(coded.weightedError).toBeCloseTo(Math.sqrt(sum / 1500), 4);
  });

  test('in a metric is that of the products with what the metric is the covariance of', async () => {
    const root = drawMatrix(12, 12, 8);
    const metric = new Float64Array(144);
    for (let i = 0; i < 12; i++) {
      for (let j = 0; j < 12; j++) {
        for (let k = 0; k < 12; k++) {
          metric[i * 12 + j]! += root.data[k * 12 + i]! * root.data[k * 12 + j]!;
        }
      }
    }
    const square = (rows: Float32Array) => {
      let sum = 0;
      for (let i = 0; i < 1500; i++) {
        for (let k = 0; k < 12; k++) {
          let product = 0;
          for (let j = 0; j < 12; j++) product += root.data[k * 12 + j]! * rows[i * 12 + j]!;
          sum += product ** 2;
        }
      }
      return sum;
    };
    const importance = new Float64Array(1500).fill(1);
    const own = async (options: object) => {
      const coded = await codeMatrix(matrix, { ratio: 10, importance, ...options });
      const { data } = expandCodes(coded);
      const measured = Math.sqrt(
        square(matrix.data.map((value, i) => value - data[i]!)) / square(matrix.data),
      );
      return { coded, measured };
    };
    const [plain, withMetric] = [await own({}), await own({ metric })];
    expect(withMetric.coded.weightedError).toBeCloseTo(withMetric.measured, 3);
    expect(withMetric.measured).toBeLessThan(0.9 * plain.measured);
  });

  test('that is asked for is kept with few bytes', async () => {
    const close = await codeMatrix(matrix, { maxError: 0.2, objective: 'uniform' });
    expect(close.error).toBeLessThanOrEqual(0.2);
    expect(close.error).toBeGreaterThan(0.19);
    await expect(codeMatrix(matrix, { maxError: 1e-6 })).rejects.toThrow(
      failing('block-codes/error'),
    );
  });

  test('of a sparse map: rows keep their places', async () => {
    const order = keyedRng(1, 'order').permutation(1500);
    const shuffled = Float64Array.from(order, (i) => counts[i]!);
    const coded = await codeMatrix(matrix, { ratio: 6, counts: shuffled, objective: 'counts' });
    expect(coded.config.mapped).toBe(true);
    const { data } = expandCodes(coded);
    const row = order.indexOf(0); // the most frequent
    const own = (values: Float32Array) => ({
      data: values.slice(row * 12, (row + 1) * 12),
      rows: 1,
      columns: 12,
    });
    expect(relativeError(own(matrix.data), own(data))).toBeLessThan(0.1);
  });
});

describe('odd matrices', () => {
  test.each([
    ['zeros', { data: new Float32Array(400), rows: 100, columns: 4 }],
    ['one column', drawMatrix(900, 1)],
    ['one row', drawMatrix(1, 900)],
    [
      'rows of zeros among others',
      { ...drawMatrix(600, 8), data: drawMatrix(600, 8).data.map((v, i) => (i % 80 < 8 ? 0 : v)) },
    ],
  ])('%s', async (_, matrix) => {
    const coded = await codeMatrix(matrix as Matrix, {
      ratio: 1.05,
      objective: 'neighbours',
    }).catch((error: unknown) => error);
    if (coded instanceof Error) {
      expect(coded).toMatchObject({ code: 'block-codes/budget' });
      return;
    }
    const { error } = coded as BlockCodedMatrix;
    expect(error).toBeLessThan(0.25);
    expect(relativeError(matrix as Matrix, expandCodes(coded as BlockCodedMatrix))).toBeCloseTo(
      error,
      4,
    );
  });

  test('what is not finite, or counts that do not fit, are refused by name', async () => {
    const matrix = drawMatrix(100, 4);
    matrix.data[41] = NaN;
    const refused = codeMatrix(matrix);
    await expect(refused).rejects.toThrow(failing('block-codes/not-finite'));
    await expect(refused).rejects.toThrow(/row 10, column 1/);
    const sound = drawMatrix(100, 4);
    for (const counts of [[1, 2], zipf(100).fill(-1), zipf(100).fill(NaN)]) {
      await expect(codeMatrix(sound, { counts })).rejects.toThrow(failing('block-codes/counts'));
    }
    await expect(codeMatrix(sound, { objective: 'importance' })).rejects.toThrow(
      failing('block-codes/objective'),
    );
    await expect(codeMatrix(sound, { ratio: 4, budget: 100 })).rejects.toThrow(
      failing('options/invalid'),
    );
    await expect(codeMatrix(sound, { objective: {} })).rejects.toThrow(failing('options/invalid'));
  });
});

test.each([8, 4, 3, 2] as const)(
  'without counts, rows in no order: no worse than plain codes of %i bits of the same size',
  async (bits) => {
    const matrix = drawMatrix(1500, 40, bits, 1);
    const plain = quantize(matrix, { bits, prefer: 'row' });
    const budget = Object.values(plain.weights).reduce((sum, each) => sum + each.byteLength, 0);
    const { error } = await codeMatrix(matrix, { budget });
    expect(error).toBeLessThan(relativeError(matrix, dequantize(plain, [1500, 40])));
  },
);

test('rows that are read some at a time become the same codes', async () => {
  const matrix = drawMatrix(3000, 10, 4);
  const options = { ratio: 6, counts: zipf(3000) };
  const whole = await codeMatrix(matrix, options);
  const rows: number[] = [];
  const stages = new Set<string>();
  const read = await codeRows(
    {
      rows: 3000,
      columns: 10,
      readRows: (begin, end) => {
        rows.push(end - begin);
        return Promise.resolve(matrix.data.slice(begin * 10, end * 10));
      },
    },
    { ...options, onProgress: (what) => stages.add(what) },
  );
  expect(read.weights).toEqual(whole.weights);
  expect(read.config).toEqual(whole.config);
  expect(rows.reduce((a, b) => a + b)).toBe(3 * 3000);
  expect([...stages]).toEqual(['rows measured', 'rows surveyed', 'planning', 'rows coded']);
});
