import { averageLogits, buildLabelPyramid } from '@espalier/plugin-soft-targets';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, test } from 'vitest';

beforeAll(() => onBackend('cpu'));

type Rows = readonly (readonly number[])[];

const LOGITS: readonly Rows[] = [
  [
    [1, 0, -1],
    [2, 2, 0],
  ],
  [
    [0, 3, 0.5],
    [-1, 0, 1],
  ],
];

const softmax = (row: readonly number[]) => {
  const powers = row.map(Math.exp);
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
};

test('averaged logits stand for the mean of the distributions', () => {
  const made = (mean: 'geometric' | 'arithmetic') =>
    tf.tidy(() => {
      const members = LOGITS.map((rows) => tf.tensor2d(rows as number[][]));
      return tf.softmax(averageLogits(members, mean)).arraySync();
    });
  const members = [0, 1].map((row) => LOGITS.map((rows) => softmax(rows[row]!)));
  const sums = (values: readonly number[]) => values.reduce((a, b) => a + b);
  members.forEach(([first, second], row) => {
    const arithmetic = first!.map((p, k) => (p + second![k]!) / 2);
    const product = first!.map((p, k) => Math.sqrt(p * second![k]!));
    const geometric = product.map((p) => p / sums(product));
    made('arithmetic')[row]!.forEach((p, k) => expect(p).toBeCloseTo(arithmetic[k]!, 6));
    made('geometric')[row]!.forEach((p, k) => expect(p).toBeCloseTo(geometric[k]!, 6));
  });
});

test('members of different shapes, or none, are refused', () => {
  tf.tidy(() => {
    const [two, one] = [tf.zeros([2, 3]), tf.zeros([1, 3])] as [Tensor2D, Tensor2D];
    expect(() => averageLogits([two, one])).toThrow(/exit-ensemble\/members/);
    expect(() => averageLogits([])).toThrow(/exit-ensemble\/members/);
  });
});

/** A dense layer of the generator, in plain numbers. */
function dense(model: LayersModel, name: string, x: readonly number[]): number[] {
  const [kernel, bias] = model.getLayer(name).getWeights();
  const [rows, offsets] = [kernel!.arraySync() as number[][], bias!.arraySync() as number[]];
  return offsets.map((b, j) => x.reduce((sum, value, i) => sum + value * rows[i]![j]!, b));
}

test('the generator of vectors is its laterals, summed from the top down, and a head for each', () => {
  const shapes = [[3], [4], [2]];
  const model = buildLabelPyramid(shapes, 5, { block: 'none' });
  const maps = [
    [1, -2, 0.5],
    [0, 1, 2, -1],
    [3, -1],
  ];
  const made = tf.tidy(() => {
    const outputs = model.predict(maps.map((map) => tf.tensor2d([map]))) as Tensor2D[];
    return outputs.map((output) => output.arraySync()[0]!);
  });
  const laterals = maps.map((map, i) => dense(model, `lateral_${i + 1}`, map));
  const middle = laterals[1]!.map((value, k) => value + laterals[2]![k]!);
  const first = laterals[0]!.map((value, k) => value + middle[k]!);
  const expected = [dense(model, 'head_1', first), dense(model, 'head_2', middle)];
  expect(made.map(({ length }) => length)).toEqual([5, 5]);
  made.forEach((row, i) =>
    row.forEach((value, k) => expect(value).toBeCloseTo(expected[i]![k]!, 5)),
  );
  model.dispose();
});

test.each([
  ['one map', [[8, 8, 4]]],
  ['two kinds', [[8, 8, 4], [16]]],
  [
    'an open side',
    [
      [null, 8, 4],
      [4, 4, 8],
    ] as unknown as number[][],
  ],
])('%s is refused by name', (_, shapes) => {
  expect(() => buildLabelPyramid(shapes, 10)).toThrow(/label-generator\/shapes/);
});
