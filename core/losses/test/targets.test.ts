import {
  binaryCrossEntropy,
  checkTarget,
  crossEntropy,
  meanSquaredError,
  testTargets,
} from '@espalier/losses';
import type { Loss } from '@espalier/losses';
import { onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';

const [classes, bits, numbers] = [crossEntropy(), binaryCrossEntropy(), meanSquaredError()];
const own: Loss = {
  name: 'own',
  classIds: true,
  perExample: (x) => x as never,
  metrics: () => ({}),
};
type Rows = number[] | number[][] | number[][][];

/** Targets of two examples for an output of a shape, and what is wrong with the second. */
const TARGETS: [string, Loss, number[], Rows, string?, number?][] = [
  ['class ids', classes, [2, 3], [0, 2]],
  ['an id too large', classes, [2, 3], [0, 3], 'targets/range', 3],
  ['an id below 0', classes, [2, 3], [0, -1], 'targets/range', -1],
  ['half an id', classes, [2, 3], [0, 1.5], 'targets/range', 1.5],
  ['an id that is NaN', classes, [2, 3], [0, NaN], 'targets/range', NaN],
  ['ids of a loss of one’s own', own, [2, 3], [0, 7], 'targets/range', 7],
  [
    'ids of steps',
    classes,
    [2, 2, 3],
    [
      [0, 1],
      [2, 3],
    ],
    'targets/range',
    3,
  ],
  [
    'one-hot',
    classes,
    [2, 3],
    [
      [1, 0, 0],
      [0, 0, 1],
    ],
  ],
  [
    'softened labels',
    classes,
    [2, 3],
    [
      [0.9, 0.05, 0.05],
      [1 / 3, 1 / 3, 1 / 3],
    ],
  ],
  [
    'several labels at once',
    classes,
    [2, 3],
    [
      [1, 0, 0],
      [1, 0, 1],
    ],
    'targets/distribution',
    2,
  ],
  [
    'no label',
    classes,
    [2, 3],
    [
      [1, 0, 0],
      [0, 0, 0],
    ],
    'targets/distribution',
    0,
  ],
  [
    'a negative share',
    classes,
    [2, 3],
    [
      [1, 0, 0],
      [1.5, -0.5, 0],
    ],
    'targets/distribution',
    -0.5,
  ],
  [
    'a share that is NaN',
    classes,
    [2, 3],
    [
      [1, 0, 0],
      [NaN, 1, 0],
    ],
    'targets/distribution',
    NaN,
  ],
  [
    'anything, for a loss of one’s own',
    own,
    [2, 3],
    [
      [1, 0, 0],
      [4, NaN, 0],
    ],
  ],
  [
    'bits',
    bits,
    [2, 2],
    [
      [0, 1],
      [1, 1],
    ],
  ],
  ['shares of yes', bits, [2, 1], [[0.2], [0.9]]],
  ['signs', bits, [2, 1], [[1], [-1]], 'targets/probability', -1],
  ['class ids as bits', bits, [2, 1], [[1], [2]], 'targets/probability', 2],
  ['a bit that is NaN', bits, [2, 1], [[1], [NaN]], 'targets/probability', NaN],
  ['numbers', numbers, [2, 1], [[-7], [1e30]]],
  ['a number that is NaN', numbers, [2, 1], [[1], [NaN]], 'targets/not-finite', NaN],
  ['a number without end', numbers, [2, 1], [[1], [Infinity]], 'targets/not-finite', Infinity],
];

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each(TARGETS)('%s', async (_name, loss, shape, rows, code, received) => {
    const target = tf.tensor(rows);
    const place = { output: 'out', shape };
    const passed = tf.tidy(() =>
      testTargets({ out: loss }, { out: target }, { out: shape })?.dataSync(),
    );
    const checked = checkTarget(loss, target, place);
    if (code === undefined) {
      await expect(checked).resolves.toBeUndefined();
      expect([...(passed ?? [1, 1])]).toEqual([1, 1]);
      // What was seen on the host is not looked at again.
      expect(testTargets({ out: loss }, { out: target }, { out: shape })).toBeUndefined();
    } else {
      await expect(checked).rejects.toMatchObject({ code, parts: { received } });
      expect(passed).toEqual(Uint8Array.from([1, 0]));
    }
    target.dispose();
  });

  test.each(TARGETS.filter(([, , , , code]) => code))(
    '%s counts for nothing where the weight is 0',
    async (_name, loss, shape, rows) => {
      const target = tf.tensor(rows);
      const weights = tf.tensor1d([2, 0]);
      const place = { output: 'out', shape, weights };
      const passed = tf.tidy(() =>
        testTargets({ out: loss }, { out: target }, { out: shape }, weights)!.dataSync(),
      );
      expect(passed).toEqual(Uint8Array.from([1, 1]));
      await expect(checkTarget(loss, target, place)).resolves.toBeUndefined();
      // What passed because of its weights is no free pass for others.
      await expect(
        checkTarget(loss, target, { ...place, weights: tf.tensor1d([2, 1]) }),
      ).rejects.toThrow();
      tf.dispose([target, weights]);
    },
  );

  test('steps have weights of their own', async () => {
    const target = tf.tensor2d([
      [0, 1, 9],
      [2, 9, 0],
    ]);
    const place = { output: 'out', shape: [2, 3, 3] };
    const weights = tf.tensor2d([
      [1, 1, 0],
      [1, 0, 1],
    ]);
    await expect(checkTarget(classes, target, { ...place, weights })).resolves.toBeUndefined();
    const passed = testTargets({ out: bits }, { out: target }, { out: [2, 3] }, weights)!;
    expect(passed.dataSync()).toEqual(Uint8Array.from([1, 0]));
  });
});

describe('shapes', () => {
  beforeAll(() => onBackend('cpu'));

  test.each([
    ['class ids with an axis too many', classes, [2, 1], [2, 3], /tf\.squeeze\(y, \[-1\]\)/],
    ['ids of steps with an axis too many', classes, [2, 4, 1], [2, 4, 3], /tf\.squeeze/],
    ['too few classes', classes, [2, 2], [2, 3], /\[batch\] \(class ids\) or \[batch, 3\]/],
    ['bits without their axis', bits, [2], [2, 1], /\[batch, 1\].*Reshape/s],
    ['numbers that would be broadcast', numbers, [2, 1], [2, 3], /\[batch, 3\]/],
  ] as const)('%s', async (_name, loss, given, shape, message) => {
    const checked = checkTarget(loss, tf.zeros([...given]), { output: 'out', shape });
    await expect(checked).rejects.toThrow(message);
    await expect(checked).rejects.toMatchObject({ code: 'targets/shape' });
  });
});
