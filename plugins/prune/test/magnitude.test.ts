import { createStorage } from '@espalier/compression';
import type { Matrix } from '@espalier/compression';
import { pruneMatrix, sparseBytes } from '@espalier/plugin-prune';
import type { PrunedMatrix } from '@espalier/plugin-prune';
import { backendsUnderTest, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { mixedMatrix } from './support.js';

const SHAPES = [
  [1, 1],
  [1, 70],
  [70, 1],
  [5, 32],
  [9, 33],
  [40, 7],
  [3, 130],
] as const;

const matrices = SHAPES.map(([rows, columns], i) => mixedMatrix(rows, columns, i));
const cases = matrices.flatMap((matrix) => {
  const size = matrix.data.length;
  return [1, Math.ceil(size / 7), Math.ceil(size / 2), size].map(
    (count) => [`${count} of ${matrix.rows} × ${matrix.columns}`, matrix, count] as const,
  );
});

/** By sorting: positions of the largest in row-major order; of equal magnitudes the first. */
function largest({ data }: Matrix, count: number): number[] {
  const order = [...data.keys()].filter((i) => data[i] !== 0);
  order.sort((a, b) => Math.abs(data[b]!) - Math.abs(data[a]!) || a - b);
  return order.slice(0, count).sort((a, b) => a - b);
}

function decodeRows(
  { rows, columns }: Matrix,
  { weights }: PrunedMatrix,
  ids?: number[],
): Float32Array {
  return tf.tidy(() => {
    const config = { kind: 'sparse', kept: weights.values.length };
    const storage = createStorage('m', [rows, columns], config);
    const read = (name: string) =>
      tf.tensor(weights[name.slice(2) as keyof PrunedMatrix['weights']]);
    const decoded = ids
      ? storage.gather(read, tf.tensor1d(ids, 'int32'))
      : storage.slice(read, 0, rows);
    return decoded.dataSync() as Float32Array;
  });
}

test.each(cases)('%s are the largest', (_, matrix, count) => {
  const { weights, error, norm } = pruneMatrix(matrix, count);
  const kept = largest(matrix, count);
  expect([...weights.values]).toEqual(kept.map((i) => matrix.data[i]));
  const squares = (values: Iterable<number>) => [...values].reduce((sum, x) => sum + x * x, 0);
  expect(norm).toBeCloseTo(squares(matrix.data), 6);
  expect(error).toBeCloseTo(squares(matrix.data) - squares(weights.values), 6);
  const bytes = Object.values(weights).reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(bytes).toBe(sparseBytes([matrix.rows, matrix.columns], kept.length));
});

test('a matrix of zeros keeps one number', () => {
  const { weights } = pruneMatrix({ data: new Float32Array(40), rows: 4, columns: 10 }, 12);
  expect([...weights.values]).toEqual([0]);
});

test('of a matrix of one number everywhere the first are kept', () => {
  const data = new Float32Array(40).fill(-3);
  const { weights, error } = pruneMatrix({ data, rows: 4, columns: 10 }, 13);
  expect([...weights.values]).toEqual(Array(13).fill(-3));
  expect([...weights.starts]).toEqual([0, 10, 13, 13]);
  expect(error).toBe(9 * 27);
});

test('numbers from the smallest to the largest of float32', () => {
  const data = Float32Array.of(1e-45, -3e38, 1e-38, 0, 1.0000001, -1, 1e20, -1e-45);
  const kept = (count: number) => [
    ...pruneMatrix({ data, rows: 2, columns: 4 }, count).weights.values,
  ];
  expect(kept(1)).toEqual([data[1]]);
  expect(kept(3)).toEqual([data[1], data[4], data[6]]);
  expect(kept(6)).toEqual([data[0], data[1], data[2], data[4], data[5], data[6]]);
  expect(kept(8)).toHaveLength(7);
});

describe.each([...backendsUnderTest()])('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each(cases)('%s come back, zeros elsewhere', (_, matrix, count) => {
    const expected = new Float32Array(matrix.data.length);
    for (const i of largest(matrix, count)) expected[i] = matrix.data[i]!;
    const pruned = pruneMatrix(matrix, count);
    expect(decodeRows(matrix, pruned)).toEqual(expected);
    const ids = [matrix.rows - 1, 0, matrix.rows >> 1, 0];
    const rows = ids.map((id) => [
      ...expected.subarray(id * matrix.columns, (id + 1) * matrix.columns),
    ]);
    expect([...decodeRows(matrix, pruned, ids)]).toEqual(rows.flat());
  });

  test.each([-1, 5])('row %i of 5 is refused', (row) => {
    const matrix = mixedMatrix(5, 8);
    expect(() => decodeRows(matrix, pruneMatrix(matrix, 9), [0, row])).toThrow(
      // TensorFlow itself refuses it first, in words of its own.
      tf.getBackend() === 'tensorflow'
        ? /GatherV2: the index value/
        : /5 rows.*no such row.*storage\/row/,
    );
  });
});
