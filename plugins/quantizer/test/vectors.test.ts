import type { Matrix } from '@espalier/compression';
import { relativeError } from '@espalier/compression';
import {
  dequantize,
  quantizeProducts,
  quantizeResiduals,
  unpack,
} from '@espalier/plugin-quantizer';
import type { Bits, ProductOptions, QuantizedVectors } from '@espalier/plugin-quantizer';
import { liveTensors, onBackend } from '@espalier/testkit';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { gaussianMatrix } from './gaussian.js';

beforeAll(() => onBackend('cpu'));

const shapeOf = ({ rows, columns }: Matrix) => [rows, columns] as const;

/** Normal numbers whose columns depend on each other. */
function correlatedMatrix(rows: number, columns: number): Matrix {
  const [matrix, mix] = [gaussianMatrix(rows, columns), gaussianMatrix(columns, columns, 1)];
  const data = Float32Array.from(matrix.data, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let k = 0; k < columns; k++) {
      sum += (matrix.data[row * columns + k]! * mix.data[k * columns + column]!) / (1 + k);
    }
    return sum;
  });
  return { data, rows, columns };
}

const errors = async (
  matrix: Matrix,
  all: readonly ProductOptions[],
): Promise<readonly number[]> => {
  const found: number[] = [];
  for (const options of all) found.push((await quantizeProducts(matrix, options)).error);
  return found;
};

/** Squared distance of a part of a row from an entry. */
function distance(row: Float32Array, from: number, entry: Float32Array): number {
  return entry.reduce((sum, x, j) => sum + (row[from + j]! - x) ** 2, 0);
}

describe('product codes', () => {
  test.each<[string, number, number, number, Bits]>([
    ['points of two numbers', 200, 6, 3, 4],
    ['parts of different widths', 60, 11, 4, 3],
    ['columns of their own', 90, 3, 3, 2],
    ['wide parts, by products', 500, 34, 1, 8],
  ])('every code names the nearest entry: %s', async (_, rows, columns, parts, bits) => {
    const before = liveTensors();
    const matrix = gaussianMatrix(rows, columns);
    const { weights, error } = await quantizeProducts(matrix, { parts, bits });
    const codes = unpack(weights.codes as Int32Array, bits, rows * parts);
    const back = dequantize({ config: { kind: 'product', parts, bits }, weights }, [rows, columns]);
    expect(relativeError(matrix, back)).toBeCloseTo(error, 6);
    for (let part = 0; part < parts; part++) {
      const [from, end] = [part, part + 1].map((p) => Math.floor((p * columns) / parts));
      const width = end! - from!;
      const table = (weights.codebook as Float32Array).subarray(2 ** bits * from!);
      for (let row = 0; row < rows; row += 7) {
        const values = matrix.data.subarray(row * columns, (row + 1) * columns);
        const all = Array.from({ length: 2 ** bits }, (_, k) =>
          distance(values, from!, table.subarray(k * width, (k + 1) * width)),
        );
        const least = Math.min(...all);
        expect(all[codes[row * parts + part]!]).toBeLessThanOrEqual(least * (1 + 1e-4) + 1e-9);
      }
    }
    expect(liveTensors()).toBe(before);
  });

  test('the error falls with the parts and with the bits', async () => {
    const matrix = gaussianMatrix(300, 8);
    const byParts = await errors(
      matrix,
      [1, 2, 4, 8].map((parts) => ({ parts, bits: 4 })),
    );
    const byBits = await errors(
      matrix,
      ([2, 3, 4, 8] as const).map((bits) => ({ parts: 4, bits })),
    );
    for (const found of [byParts, byBits]) {
      found.slice(1).forEach((error, i) => expect(error).toBeLessThan(0.9 * found[i]!));
    }
  });

  test('k-means is hardly worse than the best of five naive ones', async () => {
    const matrix = gaussianMatrix(200, 3);
    const { error } = await quantizeProducts(matrix, { parts: 1, bits: 3 });
    const naive = Array.from({ length: 5 }, (_, seed) => naiveError(matrix, 8, seed));
    expect(error).toBeLessThan(1.03 * Math.min(...naive));
  });

  test('few distinct pieces come back as they were', async () => {
    const value = fc.float({ min: -100, max: 100, noNaN: true });
    const distinct = fc.array(fc.tuple(value, value, value, value), { minLength: 1, maxLength: 4 });
    const order = fc.array(fc.nat(), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(distinct, order, fc.constantFrom(1, 2, 3), async (rows, ids, parts) => {
        const data = Float32Array.from(
          ids.flatMap((id) => rows[id % rows.length]!),
          (x) => x + 0,
        );
        const matrix = { data, rows: ids.length, columns: 4 };
        for (const coded of [
          await quantizeProducts(matrix, { parts, bits: 2 }),
          await quantizeResiduals(matrix, { stages: parts, bits: 2 }),
        ]) {
          expect(dequantize(coded, [ids.length, 4]).data).toEqual(data);
          expect(coded.error).toBe(0);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('weights move the error to light rows', async () => {
    const matrix = gaussianMatrix(300, 8);
    const rowWeights = Float64Array.from({ length: 300 }, (_, row) => (row < 30 ? 100 : 1));
    const plain = await quantizeProducts(matrix, { parts: 4, bits: 3 });
    const weighted = await quantizeProducts(matrix, { parts: 4, bits: 3, rowWeights });
    const heavy = Int32Array.from({ length: 30 }, (_, row) => row);
    const light = Int32Array.from({ length: 270 }, (_, i) => 30 + i);
    const errorOf = (of: QuantizedVectors, rows: Int32Array) =>
      relativeError(matrix, dequantize(of, shapeOf(matrix)), { rows });
    expect(errorOf(weighted, heavy)).toBeLessThan(0.8 * errorOf(plain, heavy));
    expect(errorOf(weighted, light)).toBeGreaterThan(errorOf(plain, light));
  });

  test('equal seeds give equal bits, other seeds others', async () => {
    const matrix = gaussianMatrix(100, 8);
    const rowWeights = Float64Array.from({ length: 100 }, (_, row) => 1 / (row + 1));
    const options = { parts: 2, bits: 3, rotate: true, rowWeights, sampleSize: 60 } as const;
    const [first, again, other] = [
      await quantizeProducts(matrix, options),
      await quantizeProducts(matrix, options),
      await quantizeProducts(matrix, { ...options, seed: 1 }),
    ];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});

/** Lloyd's algorithm in its simplest form, from random rows. */
function naiveError({ data, rows, columns }: Matrix, size: number, seed: number): number {
  const row = (i: number) => data.subarray(i * columns, (i + 1) * columns);
  let centroids = Array.from({ length: size }, (_, k) => row((k * 31 + seed * 17) % rows).slice());
  let ids: number[] = [];
  for (let round = 0; round < 25; round++) {
    ids = Array.from({ length: rows }, (_, i) => {
      const all = centroids.map((centroid) => distance(row(i), 0, centroid));
      return all.indexOf(Math.min(...all));
    });
    centroids = centroids.map((before, k) => {
      const own = [...ids.keys()].filter((i) => ids[i] === k);
      return own.length === 0
        ? before
        : before.map((_, j) => own.reduce((sum, i) => sum + row(i)[j]!, 0) / own.length);
    });
  }
  const error = ids.reduce((sum, id, i) => sum + distance(row(i), 0, centroids[id]!), 0);
  return Math.sqrt(error / data.reduce((sum, x) => sum + x * x, 0));
}

describe('a learned rotation', () => {
  test('is orthogonal, and helps where columns depend on each other', async () => {
    const before = liveTensors();
    const matrix = correlatedMatrix(400, 8);
    const options = { parts: 4, bits: 4 } as const;
    const [plain, rotated] = [
      await quantizeProducts(matrix, options),
      await quantizeProducts(matrix, { ...options, rotate: true }),
    ];
    const r = rotated.weights.rotation as Float32Array;
    for (let i = 0; i < 8; i++) {
      for (let j = 0; j < 8; j++) {
        const dot = r.subarray(8 * i, 8 * i + 8).reduce((s, x, k) => s + x * r[8 * j + k]!, 0);
        expect(Math.abs(dot - Number(i === j))).toBeLessThan(1e-6);
      }
    }
    expect(rotated.error).toBeLessThan(0.8 * plain.error);
    const back = dequantize(rotated, shapeOf(matrix));
    expect(relativeError(matrix, back)).toBeCloseTo(rotated.error, 5);
    expect(liveTensors()).toBe(before);
  });

  test.each<[string, Matrix]>([
    ['independent columns', gaussianMatrix(300, 6)],
    [
      'a column of zeros',
      {
        ...gaussianMatrix(300, 6),
        data: gaussianMatrix(300, 6).data.map((x, i) => (i % 6 === 2 ? 0 : x)),
      },
    ],
    ['rows all alike', { data: new Float32Array(60).fill(2), rows: 10, columns: 6 }],
  ])('is never much worse than none: %s', async (_, matrix) => {
    const options = { parts: 3, bits: 3 } as const;
    const [plain, rotated] = await errors(matrix, [options, { ...options, rotate: true }]);
    expect(rotated).toBeLessThan(1.03 * plain! + 1e-6);
  });
});

describe('residual codes', () => {
  test('the error falls with the stages, and a wider beam is no worse', async () => {
    const before = liveTensors();
    const matrix = gaussianMatrix(300, 8);
    const found: number[] = [];
    for (const stages of [1, 2, 4]) {
      const coded = await quantizeResiduals(matrix, { stages, bits: 4 });
      found.push(coded.error);
      const back = dequantize(coded, shapeOf(matrix));
      expect(relativeError(matrix, back)).toBeCloseTo(coded.error, 5);
    }
    found.slice(1).forEach((error, i) => expect(error).toBeLessThan(0.9 * found[i]!));
    const greedy = await quantizeResiduals(matrix, { stages: 4, bits: 4, beam: 1 });
    expect(found[2]).toBeLessThan(greedy.error);
    expect(liveTensors()).toBe(before);
  });

  test('weights move the error to light rows', async () => {
    const matrix = gaussianMatrix(300, 8);
    const rowWeights = Float64Array.from({ length: 300 }, (_, row) => (row < 30 ? 100 : 1));
    const rows = Int32Array.from({ length: 30 }, (_, row) => row);
    const [plain, weighted] = [
      await quantizeResiduals(matrix, { stages: 2, bits: 3 }),
      await quantizeResiduals(matrix, { stages: 2, bits: 3, rowWeights }),
    ].map((of) => relativeError(matrix, dequantize(of, shapeOf(matrix)), { rows }));
    expect(weighted).toBeLessThan(0.8 * plain!);
  });
});

describe('what cannot be coded is refused', () => {
  const matrix = gaussianMatrix(10, 4);
  test.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'more parts than columns',
      () => quantizeProducts(matrix, { parts: 5 }),
      /row of 4 numbers.*5 parts.*quantizer\/parts/,
    ],
    ['no part', () => quantizeProducts(matrix, { parts: 0 }), /'parts'.*options\/invalid/],
    [
      'no stage',
      () => quantizeResiduals(matrix, { stages: 0 }),
      /stages must be.*quantizer\/stages/,
    ],
    ['half a beam', () => quantizeResiduals(matrix, { stages: 1, beam: 0.5 }), /beam must be.*0.5/],
    ['bits', () => quantizeProducts(matrix, { parts: 1, bits: 5 as Bits }), /quantizer\/bits/],
    [
      'too few weights',
      () => quantizeProducts(matrix, { parts: 1, rowWeights: [1, 2] }),
      /10 rows need 10 weights.*Received: 2.*quantizer\/weights/,
    ],
    [
      'a weight below 0',
      () => quantizeResiduals(matrix, { stages: 1, rowWeights: new Float64Array(10).fill(-1) }),
      /row 0.*at least 0/,
    ],
    [
      'weights of 0',
      () => quantizeProducts(matrix, { parts: 1, rowWeights: new Float64Array(10) }),
      /all rows are 0/,
    ],
    [
      'NaN',
      () =>
        quantizeProducts(
          { ...matrix, data: matrix.data.map((x, i) => (i === 5 ? NaN : x)) },
          { parts: 1 },
        ),
      /row 1, column 1.*not-finite/,
    ],
  ])('%s', async (_, quantizing, message) => {
    await expect(quantizing()).rejects.toThrow(message);
  });
});
