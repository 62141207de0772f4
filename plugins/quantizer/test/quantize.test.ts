import { createStorage } from '@espalier/compression';
import type { Matrix, StorageConfig } from '@espalier/compression';
import {
  dequantize,
  kMeans,
  pack,
  packedLength,
  quantize,
  unpack,
} from '@espalier/plugin-quantizer';
import type { Bits, Quantized, QuantizeOptions } from '@espalier/plugin-quantizer';
import { backendsUnderTest, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { gaussianMatrix } from './gaussian.js';

const ALL_BITS: readonly Bits[] = [2, 3, 4, 8];

/** Finite float32 numbers whose sums and squares are finite too; many alike, many zero. */
const number = fc.oneof(
  fc.float({ min: -100, max: 100, noNaN: true }),
  fc.constantFrom(0, 1, -1, 1e-6, 0.1),
);

const anyMatrix = fc
  .tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 9 }))
  .chain(([rows, columns]) =>
    fc
      .array(number, { minLength: rows * columns, maxLength: rows * columns })
      .map((numbers): Matrix => ({ data: Float32Array.from(numbers), rows, columns })),
  );

const anyGranularity = fc.constantFrom<NonNullable<QuantizeOptions['granularity']>>(
  'tensor',
  'row',
  'column',
  { group: 2 },
  { group: 4 },
);

const anyOptions: fc.Arbitrary<QuantizeOptions> = fc.record({
  bits: fc.constantFrom(...ALL_BITS),
  scheme: fc.constantFrom('symmetric' as const, 'asymmetric' as const),
  granularity: anyGranularity,
  range: fc.constantFrom('min-max' as const, 'mse' as const, { percentile: 90 }),
  codebook: fc.constantFrom<NonNullable<QuantizeOptions['codebook']>>(false, 'k-means', 'nf4', {
    columns: 2,
  }),
});

/** Signal-to-noise ratio in dB. */
function decibels({ error }: Quantized): number {
  return -20 * Math.log10(error);
}

function squaredError(matrix: Matrix, quantized: Quantized): number {
  const back = dequantize(quantized, [matrix.rows, matrix.columns]).data;
  return matrix.data.reduce((sum, x, i) => sum + (x - back[i]!) ** 2, 0);
}

describe('packing', () => {
  test.each(ALL_BITS)('%i bits come back, whatever the length', (bits) => {
    const codes = fc.uint8Array({ max: 2 ** bits - 1, maxLength: 100 });
    fc.assert(
      fc.property(codes, (given) => {
        expect(unpack(pack(given, bits), bits, given.length)).toEqual(given);
      }),
    );
  });

  test('nothing is wasted but the end of the last word of a plane', () => {
    expect([8, 4, 2].map((bits) => packedLength(bits as Bits, 33))).toEqual([9, 5, 3]);
    expect(packedLength(3, 3200)).toBe(300);
    expect(packedLength(3, 1)).toBe(2);
  });

  test('the layout is the documented one', () => {
    expect(pack(Uint8Array.of(1, 2, 3), 4)).toEqual(Int32Array.of(0x321));
    expect(pack(Uint8Array.of(0xff, 0, 0, 0x80, 7), 8)).toEqual(Int32Array.of(0x800000ff | 0, 7));
    expect(pack(Uint8Array.of(5, 3, 6), 3)).toEqual(Int32Array.of(0b101101, 0b101));
  });
});

describe('error', () => {
  test('is at most half a step for every number with min-max ranges', () => {
    const schemes = fc.constantFrom('symmetric' as const, 'asymmetric' as const);
    fc.assert(
      fc.property(
        anyMatrix,
        fc.constantFrom(...ALL_BITS),
        schemes,
        fc.constantFrom('row' as const, 'column' as const),
        (matrix, bits, scheme, granularity) => {
          const options = { bits, scheme, granularity, range: 'min-max' } as const;
          const quantized = quantize(matrix, options);
          const back = dequantize(quantized, [matrix.rows, matrix.columns]).data;
          matrix.data.forEach((x, i) => {
            const at = granularity === 'row' ? Math.floor(i / matrix.columns) : i % matrix.columns;
            // The last term: a step below the smallest float32 cannot be written down.
            const slack = 1e-6 * Math.max(...matrix.data.map(Math.abs)) + 2 ** -149;
            expect(Math.abs(x - back[i]!)).toBeLessThanOrEqual(
              quantized.weights.scale![at]! / 2 + slack,
            );
          });
        },
      ),
    );
  });

  test.each<[string, QuantizeOptions]>([
    ['least-squares symmetric', { scheme: 'symmetric' }],
    ['least-squares asymmetric', { scheme: 'asymmetric' }],
    ['codebook', { codebook: 'k-means' }],
    ['codebook per 2 columns', { codebook: { columns: 2 } }],
  ])('never grows with the bits: %s', (_, options) => {
    fc.assert(
      fc.property(anyMatrix, anyGranularity, (matrix, granularity) => {
        const norm = matrix.data.reduce((sum, x) => sum + x ** 2, 0);
        const errors = ALL_BITS.map((bits) =>
          squaredError(matrix, quantize(matrix, { ...options, granularity, bits })),
        );
        errors.slice(1).forEach((error, i) => {
          expect(error).toBeLessThanOrEqual(errors[i]! * (1 + 1e-5) + 1e-12 * norm);
        });
      }),
    );
  });

  test('least squares is never worse than min-max', () => {
    fc.assert(
      fc.property(anyMatrix, anyOptions, (matrix, options) => {
        const plain = { ...options, codebook: false } as const;
        const best = squaredError(matrix, quantize(matrix, { ...plain, range: 'mse' }));
        const naive = squaredError(matrix, quantize(matrix, { ...plain, range: 'min-max' }));
        const norm = matrix.data.reduce((sum, x) => sum + x * x, 1);
        expect(best).toBeLessThanOrEqual(naive * (1 + 1e-5) + 1e-12 * norm);
      }),
    );
  });

  test('row weights lower the weighted error and nothing else changes', () => {
    const matrix = gaussianMatrix(40, 6);
    const rowWeights = Float64Array.from({ length: 40 }, (_, row) => (row < 4 ? 100 : 1));
    const weighted = (quantized: Quantized) => {
      const back = dequantize(quantized, [40, 6]).data;
      const error = (x: number, i: number) => rowWeights[Math.floor(i / 6)]! * (x - back[i]!) ** 2;
      return matrix.data.reduce((sum, x, i) => sum + error(x, i), 0);
    };
    const options = { bits: 3, granularity: 'column' } as const;
    const [plain, important] = [options, { ...options, rowWeights }].map((each) =>
      quantize(matrix, each),
    );
    expect(weighted(important!)).toBeLessThan(weighted(plain!));
    expect(important!.config).toEqual(plain!.config);
  });

  test.each<[string, number, QuantizeOptions]>([
    ['8 bits, one scale', 35, { bits: 8, granularity: 'tensor', range: 'min-max' }],
    ['8 bits, automatic', 35, {}],
    ['4 bits in groups of 32', 20, { bits: 4, granularity: { group: 32 } }],
    [
      '4 bits in groups of 32, min-max',
      20,
      { bits: 4, granularity: { group: 32 }, range: 'min-max' },
    ],
    ['NF4 in groups of 32', 20, { codebook: 'nf4', granularity: { group: 32 } }],
    ['a codebook of 16', 20, { bits: 4, codebook: 'k-means' }],
  ])('Gaussian data: %s: above %i dB', (_, least, options) => {
    expect(decibels(quantize(gaussianMatrix(64, 256), options))).toBeGreaterThan(least);
  });

  test('constant and zero matrices come back as they were', () => {
    for (const value of [0, 0.3, -7]) {
      const matrix = { data: new Float32Array(12).fill(value), rows: 3, columns: 4 };
      for (const bits of ALL_BITS) {
        for (const codebook of [false, 'k-means'] as const) {
          const { error } = quantize(matrix, { bits, codebook, scheme: 'asymmetric' });
          expect(error).toBe(0);
        }
        expect(quantize(matrix, { bits }).error).toBeLessThan(1e-6);
      }
    }
  });
});

test('a codebook is no worse than any of many random ones', () => {
  const { data } = gaussianMatrix(1, 400);
  const loss = (table: Float32Array) =>
    data.reduce((sum, x) => sum + Math.min(...table.map((entry) => (x - entry) ** 2)), 0);
  const best = loss(kMeans(data, 2));
  for (let seed = 1; seed < 50; seed++) {
    expect(best).toBeLessThan(loss(gaussianMatrix(1, 4, seed).data));
  }
});

describe.each([...backendsUnderTest()])('stored on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  const weightsOf = ({ weights }: Quantized) =>
    new Map(Object.entries(weights).map(([part, data]) => [`m_${part}`, tf.tensor1d(data!)]));

  test('gather, slice and dequantize agree in every bit', () => {
    fc.assert(
      fc.property(anyMatrix, anyOptions, fc.array(fc.nat(6)), (matrix, options, wanted) => {
        // TensorFlow takes numbers below 1e-38 for 0.
        const tiny = matrix.data.some((x) => x !== 0 && Math.abs(x) < 1e-30);
        fc.pre(!tiny || tf.getBackend() !== 'tensorflow');
        const { rows, columns } = matrix;
        const quantized = quantize(matrix, options);
        const json = JSON.parse(JSON.stringify(quantized.config)) as StorageConfig;
        const storage = createStorage('m', [rows, columns], json);
        const ids = wanted.map((id) => id % rows);
        tf.tidy(() => {
          const weights = weightsOf(quantized);
          storage.weights.forEach(({ name, shape, dtype }) => {
            expect(weights.get(name)).toMatchObject({ shape, dtype });
          });
          const read = (name: string) => weights.get(name)!;
          const whole = dequantize(quantized, [rows, columns]).data;
          expect(storage.slice(read, 0, rows).dataSync()).toEqual(whole);
          const last = storage.slice(read, rows - 1, 1).dataSync();
          expect(last).toEqual(whole.slice((rows - 1) * columns));
          const some = storage.gather(read, tf.tensor1d(ids, 'int32'));
          expect(some.shape).toEqual([ids.length, columns]);
          const slow = ids.flatMap((id) => [...whole.subarray(id * columns, (id + 1) * columns)]);
          expect([...some.dataSync()]).toEqual(slow);
        });
      }),
    );
  });

  // The words have room for a fourth row, in the second plane of 3 bits also for a negative one.
  test.each([3, -1])('row %i, which there is not, is refused', (row) => {
    for (const granularity of ['row', 'tensor'] as const) {
      const quantized = quantize(gaussianMatrix(3, 2), { bits: 3, granularity });
      const storage = createStorage('m', [3, 2], quantized.config);
      tf.tidy(() => {
        const weights = weightsOf(quantized);
        const wrong = tf.tensor1d([row], 'int32');
        expect(() => storage.gather((name) => weights.get(name)!, wrong)).toThrow(
          // TensorFlow itself refuses it first, in words of its own.
          tf.getBackend() === 'tensorflow'
            ? /GatherV2: the index value/
            : /3 rows has no such row.*Received: (3|-1).*0 to 2.*storage\/row/,
        );
      });
    }
  });
});
