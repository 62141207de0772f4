import { readFileSync } from 'node:fs';
import { keyedRng } from '@espalier/base';
import { eigenpairs, gram, project, residuals, weightedLowRank } from '@espalier/linalg';
import type { Matrix } from '@espalier/linalg';
import { backendsUnderTest, onBackend, tensorsLeakedBy } from '@espalier/testkit';
import fc from 'fast-check';
import { EigenvalueDecomposition } from 'ml-matrix';
import { beforeAll, describe, expect, test } from 'vitest';
import { departureFromOrthonormal, errorByDefinition, matrix, row } from './reference.js';

/** One matrix and what NumPy reaches in float64: see golden/make.py. */
interface Golden {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly rank: number;
  readonly data: readonly number[];
  readonly weights: readonly number[] | null;
  readonly metric: readonly number[] | null;
  readonly error: number;
  readonly total: number;
}

const goldens = JSON.parse(
  readFileSync(new URL('golden/low-rank.golden.json', import.meta.url), 'utf8'),
) as readonly Golden[];

/** Float32 factors cannot do better than this share of the total. */
const FLOOR = 1e-11;

/** Tall enough that the sums are made on the backend. */
function tall(rows: number, columns: number, decay: (k: number) => number): Matrix {
  const draw = keyedRng('tall', rows, columns);
  const mix = Float64Array.from({ length: columns * columns }, () => draw() - 0.5);
  const data = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < columns; k++) {
      const x = decay(k) * (draw() - 0.5);
      for (let j = 0; j < columns; j++) data[i * columns + j]! += x * mix[k * columns + j]!;
    }
  }
  return { data, rows, columns };
}

describe.each(backendsUnderTest())('weighted low rank on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each(goldens.map((each) => [each.name, each] as const))(
    'NumPy: %s',
    async (_, { rows, columns, rank, data, weights, metric, error, total }) => {
      const a = { data: Float32Array.from(data), rows, columns };
      const result = await weightedLowRank(a, {
        rank,
        ...(weights && { weights }),
        ...(metric && { metric: Float64Array.from(metric) }),
      });
      expect([result.u.rows, result.u.columns]).toEqual([rows, rank]);
      expect([result.v.rows, result.v.columns]).toEqual([columns, rank]);
      const reached = errorByDefinition(a, result.u, result.v, { weights, metric });
      const tolerance = 1e-4 * error + FLOOR * total;
      expect(Math.abs(reached - error)).toBeLessThanOrEqual(tolerance);
      expect(Math.abs(result.error - error)).toBeLessThanOrEqual(tolerance);
      expect(Math.abs(result.total - total)).toBeLessThanOrEqual(1e-6 * total);
      if (!metric) expect(departureFromOrthonormal(result.v)).toBeLessThan(1e-5);
    },
  );

  test('no other basis of that rank does better (property)', async () => {
    const cases = fc.record({
      rows: fc.integer({ min: 2, max: 14 }),
      columns: fc.integer({ min: 2, max: 9 }),
      seed: fc.integer(),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      decades: fc.integer({ min: 0, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, columns, seed, share, decades }) => {
        const draw = keyedRng(seed);
        const a = matrix(rows, columns, () => draw() - 0.5);
        const weights = Array.from({ length: rows }, () => 10 ** (decades * draw()));
        const rank = 1 + Math.floor(share * (Math.min(rows, columns) - 1));
        const { u, v, error, total } = await weightedLowRank(a, { rank, weights });
        const reached = errorByDefinition(a, u, v, { weights });
        expect(Math.abs(error - reached)).toBeLessThanOrEqual(1e-4 * reached + FLOOR * total);
        const other = matrix(columns, rank, () => draw() - 0.5);
        const disturbed = {
          ...v,
          data: v.data.map((value, i) => value + 0.01 * other.data[i]!),
        };
        const rival = await refit(a, disturbed);
        expect(reached).toBeLessThanOrEqual(
          1.0001 * errorByDefinition(a, rival.u, rival.v, { weights }) + FLOOR * total,
        );
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  test('a matrix too large for the host: sums on the backend, as good as in float64', async () => {
    const a = tall(backend === 'cpu' ? 900 : 4000, 140, (k) => (k + 1) ** -0.7);
    const draw = keyedRng('weights');
    const weights = Float32Array.from({ length: a.rows }, () => 10 ** (4 * draw()));
    const { u, v, error, total } = await weightedLowRank(a, { rank: 20, weights });
    const exact = await best(a, 20, weights);
    const reached = errorByDefinition(a, u, v, { weights });
    expect(Math.abs(reached - exact.error)).toBeLessThanOrEqual(1e-4 * exact.error);
    expect(Math.abs(error - exact.error)).toBeLessThanOrEqual(1e-4 * exact.error);
    expect(Math.abs(total - exact.total)).toBeLessThanOrEqual(1e-6 * total);
  });

  test('the same where float32 sums resolve nothing of what is left out', async () => {
    const a = tall(900, 140, (k) => (k < 6 ? 1 : 1e-4));
    const { u, v, error } = await weightedLowRank(a, { rank: 60 });
    const exact = await best(a, 60);
    expect(error / exact.error).toBeCloseTo(1, 4);
    expect(errorByDefinition(a, u, v) / exact.error).toBeCloseTo(1, 4);
  });

  test('few rows of many columns: by the rows, as good as in float64', async () => {
    const a = transposed(tall(3600, 140, (k) => (k + 1) ** -0.7));
    const draw = keyedRng('weights of few');
    const weights = Float64Array.from({ length: a.rows }, () => 10 ** (4 * draw()));
    const { u, v, error, total } = await weightedLowRank(a, { rank: 20, weights });
    const exact = bestByRows(a, 20, weights);
    const reached = errorByDefinition(a, u, v, { weights });
    expect(Math.abs(reached - exact.error)).toBeLessThanOrEqual(1e-4 * exact.error);
    expect(Math.abs(error - exact.error)).toBeLessThanOrEqual(1e-4 * exact.error);
    expect(Math.abs(total - exact.total)).toBeLessThanOrEqual(1e-6 * total);
    expect(departureFromOrthonormal(v)).toBeLessThan(1e-5);
  });

  test('the same where float32 sums resolve nothing', async () => {
    const a = transposed(tall(3600, 140, (k) => (k < 6 ? 1 : 1e-4)));
    const { u, v, error } = await weightedLowRank(a, { rank: 60 });
    const exact = bestByRows(a, 60);
    expect(error / exact.error).toBeCloseTo(1, 4);
    expect(errorByDefinition(a, u, v) / exact.error).toBeCloseTo(1, 4);
  });

  test('selected rows alone count, in their order', async () => {
    const draw = keyedRng('select');
    const a = matrix(30, 7, () => draw() - 0.5);
    const weights = Array.from({ length: 30 }, (_, i) => i + 1);
    const rows = [21, 3, 8, 4, 29, 0, 11, 12];
    const part = matrix(rows.length, 7, (i, j) => a.data[rows[i]! * 7 + j]!);
    const selected = await weightedLowRank(a, {
      rank: 3,
      weights,
      select: Int32Array.from(rows),
    });
    const alone = await weightedLowRank(part, { rank: 3, weights: rows.map((i) => weights[i]!) });
    expect(selected.error).toBeCloseTo(alone.error, 6);
    expect(selected.u.data).toEqual(alone.u.data);
    expect(selected.v.data).toEqual(alone.v.data);
    expect(errorByDefinition(a, selected.u, selected.v, { rows, weights })).toBeCloseTo(
      selected.error,
      5,
    );
  });

  test('with a metric, V is what turns U back, and nothing does better in the metric', async () => {
    const draw = keyedRng('metric');
    const a = matrix(40, 8, () => draw() - 0.5);
    const inputs = matrix(50, 8, (_, j) => (draw() - 0.5) * 2 ** -j);
    const metric = await gram(inputs);
    const whitened = await weightedLowRank(a, { rank: 3, metric });
    const plain = await weightedLowRank(a, { rank: 3 });
    const reached = errorByDefinition(a, whitened.u, whitened.v, { metric });
    expect(whitened.error / reached).toBeCloseTo(1, 4);
    expect(reached).toBeLessThan(0.8 * errorByDefinition(a, plain.u, plain.v, { metric }));
  });

  test('a singular metric: directions it does not see cost nothing', async () => {
    const draw = keyedRng('singular');
    const a = matrix(40, 6, () => draw() - 0.5);
    const metric = await gram(matrix(20, 6, (_, j) => (j < 2 ? draw() - 0.5 : 0)));
    const { u, v, error, total } = await weightedLowRank(a, { rank: 2, metric });
    expect(error).toBeLessThan(1e-4 * total);
    expect(errorByDefinition(a, u, v, { metric })).toBeLessThan(1e-4 * total);
    expect([...u.data, ...v.data].every(Number.isFinite)).toBe(true);
  });

  test('residuals are the errors of the rows', async () => {
    const draw = keyedRng('residuals');
    const a = matrix(25, 9, () => draw() - 0.5);
    const { u, v } = await weightedLowRank(a, { rank: 4 });
    const each = await residuals(a, v);
    each.forEach((error, i) => {
      const one = { ...u, data: u.data.subarray(i * 4, i * 4 + 4) };
      expect(error).toBeCloseTo(errorByDefinition(a, one, v, { rows: [i] }), 6);
    });
    const select = Int32Array.of(7, 2);
    expect([...(await residuals(a, v, { select }))]).toEqual([each[7], each[2]]);
    const picked = await project(a, v, { select });
    expect([...picked.data]).toEqual([...u.data.subarray(28, 32), ...u.data.subarray(8, 12)]);
  });

  test('leaves no tensor behind, and the same input gives the same bits', async () => {
    const a = tall(900, 140, (k) => 1 / (k + 1));
    const weights = Array.from({ length: a.rows }, (_, i) => 1 / (i + 1));
    const run = () => weightedLowRank(a, { rank: 8, weights });
    const first = await run();
    expect(await tensorsLeakedBy(async () => void (await run()))).toBe(0);
    expect(await run()).toEqual(first);
  });

  test.each([1e-30, 1e30])(
    'numbers of %f summed in float32 keep their relative error',
    async (size) => {
      const a = tall(900, 140, (k) => (k + 1) ** -0.7);
      const scaled = { ...a, data: a.data.map((value) => value * size) };
      const { error } = await weightedLowRank(a, { rank: 20 });
      const result = await weightedLowRank(scaled, { rank: 20 });
      expect(result.error / size ** 2 / error).toBeCloseTo(1, 4);
      const lost = (await residuals(scaled, result.v)).reduce((sum, each) => sum + each, 0);
      expect(lost / size ** 2 / error).toBeCloseTo(1, 4);
    },
  );

  test('large and small numbers keep their relative error', async () => {
    const draw = keyedRng('scale');
    const a = matrix(30, 6, () => draw() - 0.5);
    const { error } = await weightedLowRank(a, { rank: 2 });
    for (const scale of [1e-12, 1e12]) {
      const scaled = { ...a, data: a.data.map((value) => value * scale) };
      const weights = Array.from({ length: 30 }, () => 1e30);
      const result = await weightedLowRank(scaled, { rank: 2, weights });
      expect(result.error / (1e30 * scale ** 2 * error)).toBeCloseTo(1, 4);
    }
  });
});

/** {@link best} from the products of the rows, straight from the definition. */
function bestByRows(a: Matrix, rank: number, weights?: ArrayLike<number>) {
  const rows = Array.from({ length: a.rows }, (_, i) => {
    return row(a, i).map((value) => value * Math.sqrt(weights?.[i] ?? 1));
  });
  const products = rows.map((x) =>
    rows.map((y) => x.reduce((sum, each, j) => sum + each * y[j]!, 0)),
  );
  const values = new EigenvalueDecomposition(products, { assumeSymmetric: true }).realEigenvalues;
  const add = (part: readonly number[]) => part.reduce((all, value) => all + value, 0);
  const falling = [...values].sort((x, y) => y - x);
  return { error: add(falling.slice(rank)), total: add(falling) };
}

/** Least error and total by the dense solver on float64 sums. */
async function best(a: Matrix, rank: number, weights?: ArrayLike<number>) {
  const sum = await gram(a, { weights, precision: 'double' });
  const { values } = await eigenpairs(sum, a.columns, { method: 'dense' });
  const add = (part: Float64Array) => part.reduce((all, value) => all + value, 0);
  return { error: add(values.subarray(rank)), total: add(values) };
}

/** A basis made orthonormal, and the rows in it: the best rows for that basis. */
async function refit(a: Matrix, basis: Matrix) {
  const { v } = await weightedLowRank(transposed(basis), { rank: basis.columns });
  return { u: await project(a, v), v };
}

function transposed({ data, rows, columns }: Matrix): Matrix {
  return matrix(columns, rows, (i, j) => data[j * columns + i]!);
}
