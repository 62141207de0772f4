import {
  dequantize,
  measureDistortion,
  quantize,
  quantizeProducts,
  quantizeResiduals,
} from '@espalier/plugin-quantizer';
import type { CodedMatrix, Codec } from '@espalier/plugin-quantizer';
import { liveTensors, onBackend } from '@espalier/testkit';
import { beforeAll, expect, test } from 'vitest';
import { gaussianMatrix } from './gaussian.js';

beforeAll(() => onBackend('cpu'));

const [ROWS, COLUMNS] = [3000, 4];
const matrix = gaussianMatrix(ROWS, COLUMNS);
/** Few heavy rows, many light ones. */
const rowWeights = Float64Array.from({ length: ROWS }, (_, row) => 1000 / (1 + row));

const CODECS: readonly [string, Codec, () => Promise<CodedMatrix> | CodedMatrix][] = [
  [
    'parts',
    { parts: 2, bits: 3 },
    () => quantizeProducts(matrix, { parts: 2, bits: 3, rowWeights }),
  ],
  [
    'stages',
    { stages: 2, bits: 2 },
    () => quantizeResiduals(matrix, { stages: 2, bits: 2, rowWeights }),
  ],
  [
    'rows',
    { bits: 3, granularity: 'row' },
    () => quantize(matrix, { bits: 3, granularity: 'row' }),
  ],
];

test.each(CODECS)('a sample tells the error of all rows: %s', async (_, codec, encode) => {
  const before = liveTensors();
  const estimated = await measureDistortion(matrix, codec, { rowWeights, sampleSize: 900 });
  expect(estimated.rows).toBeGreaterThan(890);
  expect(estimated.rows).toBeLessThan(910);
  const back = dequantize(await encode(), [ROWS, COLUMNS]).data;
  const sums = { plain: 0, weighted: 0, total: 0 };
  for (let row = 0; row < ROWS; row++) {
    let error = 0;
    for (let at = row * COLUMNS; at < (row + 1) * COLUMNS; at++) {
      error += (matrix.data[at]! - back[at]!) ** 2;
    }
    sums.plain += error / ROWS;
    sums.weighted += rowWeights[row]! * error;
    sums.total += rowWeights[row]!;
  }
  const actual = { plain: sums.plain, weighted: sums.weighted / sums.total };
  for (const key of ['plain', 'weighted'] as const) {
    expect(estimated.deviation[key]).toBeLessThan(0.1);
    expect(Math.abs(estimated[key] / actual[key] - 1)).toBeLessThan(0.12);
  }
  expect(liveTensors()).toBe(before);
});

test('of few rows, all are coded', async () => {
  const few = gaussianMatrix(40, 6);
  const { plain, weighted, deviation, rows } = await measureDistortion(few, { parts: 3, bits: 2 });
  const { error } = await quantizeProducts(few, { parts: 3, bits: 2 });
  const norm = few.data.reduce((sum, x) => sum + x * x, 0);
  expect(Math.abs((40 * plain) / (error ** 2 * norm) - 1)).toBeLessThan(0.15);
  expect([weighted, deviation, rows]).toEqual([plain, { plain: 0, weighted: 0 }, 40]);
});
