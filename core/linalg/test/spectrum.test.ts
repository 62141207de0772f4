import { keyedRng } from '@espalier/base';
import { multiply, spectrum, squareRoot } from '@espalier/linalg';
import type { Matrix } from '@espalier/linalg';
import { backendsUnderTest, onBackend, tensorsLeakedBy } from '@espalier/testkit';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { departureFromOrthonormal, gramByDefinition, matrix } from './reference.js';

/** Largest ‖G v_k − λ_k v_k‖ over λ_0. */
function worstResidual(g: Float64Array, values: Float64Array, { data, rows, columns }: Matrix) {
  const residuals = Array.from(values, (value, k) => {
    const v = Array.from({ length: rows }, (_, i) => data[i * columns + k]!);
    const left = v.map((x, i) => v.reduce((sum, y, j) => sum + g[i * rows + j]! * y, -value * x));
    return Math.hypot(...left);
  });
  return Math.max(...residuals) / values[0]!;
}

describe.each(backendsUnderTest())('spectrum on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('eigenpairs of the weighted Gram matrix, whichever side is the smaller (property)', async () => {
    const cases = fc.record({
      rows: fc.integer({ min: 1, max: 12 }),
      columns: fc.integer({ min: 1, max: 12 }),
      seed: fc.integer(),
      decades: fc.integer({ min: 0, max: 6 }),
      rooted: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, columns, seed, decades, rooted }) => {
        const draw = keyedRng(seed);
        const a = matrix(rows + 2, columns, () => draw() - 0.5);
        const weights = Array.from({ length: a.rows }, () => 10 ** (decades * draw()));
        const select = Int32Array.from({ length: rows }, (_, i) => a.rows - 1 - i);
        const metric = gramByDefinition(
          matrix(columns + 3, columns, () => draw() - 0.5),
          [0, 1, 2],
        );
        const { root } = rooted ? await squareRoot(metric, columns) : {};
        const found = await spectrum(a, { weights, select, ...(root && { root }) });
        const { values } = found;
        const vectors = found.vectors(values.length);
        const plain = gramByDefinition(a, [...select], weights);
        const g = root ? multiply(root, multiply(plain, root, columns), columns) : plain;
        expect(values).toHaveLength(Math.min(rows, columns));
        expect([vectors.rows, vectors.columns]).toEqual([columns, values.length]);
        expect([...values]).toEqual([...values].sort((x, y) => y - x));
        expect(worstResidual(g, values, vectors)).toBeLessThan(1e-6);
        expect(departureFromOrthonormal(vectors)).toBeLessThan(1e-6);
        const some = found.vectors(1);
        expect([...some.data]).toEqual([
          ...vectors.data.filter((_, at) => at % values.length === 0),
        ]);
        const trace = Array.from({ length: columns }, (_, i) => g[i * (columns + 1)]!);
        const sum = (all: Iterable<number>) => [...all].reduce((x, y) => x + y, 0);
        expect(sum(values) / sum(trace)).toBeCloseTo(1, 9);
      }),
      { numRuns: 60, seed: 11 },
    );
  });

  test('ten rows of 9216 columns', async () => {
    const draw = keyedRng('head');
    const a = matrix(10, 9216, (i) => (draw() - 0.5) * 3 ** -i);
    const { values, ...found } = await spectrum(a);
    const vectors = found.vectors(10);
    const kept = Array.from({ length: 10 }, (_, i) => {
      const inBasis = Array.from({ length: 10 }, (_, k) => {
        let dot = 0;
        for (let j = 0; j < 9216; j++) dot += a.data[i * 9216 + j]! * vectors.data[j * 10 + k]!;
        return dot ** 2;
      });
      return inBasis.reduce((sum, each) => sum + each, 0);
    });
    const squares = kept.map((_, i) => {
      return a.data.subarray(i * 9216, (i + 1) * 9216).reduce((sum, x) => sum + x * x, 0);
    });
    kept.forEach((each, i) => expect(each / squares[i]!).toBeCloseTo(1, 5));
    expect(departureFromOrthonormal(vectors)).toBeLessThan(1e-5);
    const total = squares.reduce((sum, each) => sum + each, 0);
    expect(values.reduce((sum, each) => sum + each, 0) / total).toBeCloseTo(1, 5);
  });

  test('of rows that repeat: values of 0, and vectors orthonormal all the same', async () => {
    const a = matrix(4, 9, (_, j) => j + 1);
    const { values, ...found } = await spectrum(a);
    const vectors = found.vectors(4);
    expect(values[0]).toBeCloseTo(4 * 285, 6);
    [1, 2, 3].forEach((k) => expect(Math.abs(values[k]!)).toBeLessThan(1e-9));
    expect(departureFromOrthonormal(vectors)).toBeLessThan(1e-6);
    expect(Math.min(...vectors.data.filter((_, at) => at % 4 === 0))).toBeGreaterThan(0);
  });

  test('leaves no tensor behind', async () => {
    const draw = keyedRng('leak');
    const a = matrix(140, 3600, () => draw() - 0.5);
    expect(
      await tensorsLeakedBy(async () => void (await spectrum(a, { count: 3 })).vectors(3)),
    ).toBe(0);
  });
});
