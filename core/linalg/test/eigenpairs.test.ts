import { keyedRng } from '@espalier/base';
import { eigenpairs, squareRoot } from '@espalier/linalg';
import type { EigenMethod } from '@espalier/linalg';
import { backendsUnderTest, onBackend, tensorsLeakedBy } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { departureFromOrthonormal } from './reference.js';

/** Q diag(values) Qᵀ, with Q a product of reflections. */
function withSpectrum(values: readonly number[]): Float64Array {
  const size = values.length;
  const draw = keyedRng('spectrum', size);
  const g = new Float64Array(size * size);
  values.forEach((value, i) => (g[i * size + i] = value));
  for (let k = 0; k < 3; k++)
    reflect(
      g,
      Float64Array.from(values, () => draw() - 0.5),
    );
  return g;
}

/** G ← H G H, H = I − 2 h hᵀ / hᵀh. */
function reflect(g: Float64Array, h: Float64Array): void {
  const size = h.length;
  const square = h.reduce((sum, x) => sum + x * x, 0);
  for (const [down, along] of [
    [size, 1],
    [1, size],
  ] as const) {
    for (let i = 0; i < size; i++) {
      const dot = h.reduce((sum, x, j) => sum + x * g[i * down + j * along]!, 0);
      h.forEach((x, j) => (g[i * down + j * along]! -= (2 * dot * x) / square));
    }
  }
}

const power = (size: number) => Array.from({ length: size }, (_, k) => 5 / (k + 1));

describe.each(backendsUnderTest())('eigenpairs on %s', (backend) => {
  beforeAll(() => onBackend(backend));
  const methods: readonly EigenMethod[] =
    backend === 'cpu' || backend === 'wasm'
      ? ['auto', 'dense', 'subspace']
      : ['auto', 'dense', 'subspace', 'native'];

  describe.each(methods)('%s', (method) => {
    test.each<[string, readonly number[], number]>([
      ['power law', power(150), 12],
      ['decaying fast', Array.from({ length: 60 }, (_, k) => 2 ** -k), 8],
      ['repeated', Array.from({ length: 40 }, (_, k) => 4 - Math.floor(k / 10)), 10],
      ['repeated over the edge', Array.from({ length: 140 }, (_, k) => (k < 70 ? 2 : 1)), 20],
      ['all equal', Array.from({ length: 30 }, () => 3), 4],
      ['rank 2 of 30', Array.from({ length: 30 }, (_, k) => (k < 2 ? 3 - k : 0)), 5],
      ['zero', Array.from({ length: 20 }, () => 0), 3],
      ['all of them', power(20), 20],
      ['one', [7], 1],
    ])('%s', async (_, spectrum, count) => {
      const size = spectrum.length;
      const g = withSpectrum(spectrum);
      const { values, vectors } = await eigenpairs(g, size, { count, method });
      const largest = spectrum[0]!;
      expect(values).toHaveLength(count);
      // TensorFlow's solver works in float32.
      const tolerance = method === 'native' || tf.getBackend() === 'tensorflow' ? 1e-5 : 3e-6;
      values.forEach((value, k) =>
        expect(Math.abs(value - spectrum[k]!)).toBeLessThanOrEqual(tolerance * largest),
      );
      const v = { data: vectors, rows: size, columns: count };
      expect(departureFromOrthonormal(v)).toBeLessThan(1e-5);
      for (let k = 0; k < count; k++) {
        const vector = Array.from({ length: size }, (_, i) => vectors[i * count + k]!);
        const image = vector.map((_, i) =>
          vector.reduce((sum, x, j) => sum + x * g[i * size + j]!, 0),
        );
        const rest = Math.hypot(...image.map((x, i) => x - values[k]! * vector[i]!));
        expect(rest).toBeLessThanOrEqual(2e-5 * largest);
        const widest = vector.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
        expect(widest).toBeGreaterThan(0);
      }
    });
  });

  test('the methods agree on vectors whose values are apart, sign included', async () => {
    const g = withSpectrum(Array.from({ length: 150 }, (_, k) => 0.5 ** k));
    const [dense, subspace] = await Promise.all(
      (['dense', 'subspace'] as const).map((method) => eigenpairs(g, 150, { count: 6, method })),
    );
    dense!.vectors.forEach((value, at) => expect(subspace!.vectors[at]).toBeCloseTo(value, 4));
  });

  test('subspace iteration leaves no tensor behind, and repeats itself', async () => {
    const g = withSpectrum(power(150));
    const run = () => eigenpairs(g, 150, { count: 8, method: 'subspace' });
    const first = await run();
    expect(await tensorsLeakedBy(async () => void (await run()))).toBe(0);
    expect(await run()).toEqual(first);
  });

  test('native says where it runs', async () => {
    if (tf.getBackend() === 'tensorflow') return;
    await expect(eigenpairs(Float64Array.of(1), 1, { method: 'native' })).rejects.toThrow(
      /tfjs-node.*linalg\/no-native/,
    );
  });
});

describe('square root', () => {
  const times = (a: Float64Array, b: Float64Array, size: number) =>
    a.map((_, at) => {
      const [i, j] = [Math.floor(at / size), at % size];
      let sum = 0;
      for (let k = 0; k < size; k++) sum += a[i * size + k]! * b[k * size + j]!;
      return sum;
    });
  const identity = (size: number) =>
    Float64Array.from({ length: size * size }, (_, at) => (at % (size + 1) === 0 ? 1 : 0));
  const close = (actual: Float64Array, expected: Float64Array, digits: number) =>
    actual.forEach((value, at) => expect(value).toBeCloseTo(expected[at]!, digits));

  test('squared is the matrix; times its inverse the identity', async () => {
    const g = withSpectrum(power(12));
    const { root, inverse } = await squareRoot(g, 12);
    close(times(root, root, 12), g, 10);
    close(times(root, inverse, 12), identity(12), 10);
  });

  test('of a singular matrix is ridged', async () => {
    const g = withSpectrum([4, 1, 0, 0]);
    const { root, inverse } = await squareRoot(g, 4, { ridge: 1e-4 });
    close(times(root, root, 4), g, 3);
    close(times(root, inverse, 4), identity(4), 8);
    expect(Math.max(...inverse)).toBeLessThanOrEqual(50.001);
  });

  test('the zero matrix counts as the identity', async () => {
    const { root, inverse } = await squareRoot(new Float64Array(9), 3);
    expect(root).toEqual(identity(3));
    expect(inverse).toEqual(identity(3));
  });
});
