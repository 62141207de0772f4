import { installGradients } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  normalize,
  normalizeGradient,
  registerReference,
  statisticsOf,
} from '../kernels/batch-norm-reference.js';
import { activate, testBackends } from './backends.js';
import { example, input, problemOf } from './cases.js';
import { expectGradient, expectHessian } from './checks.js';
import { spread, stream } from './differences.js';
import { relativeError } from './errors.js';

const EPSILON = 1e-2;
const shapes = [
  [5, 3],
  [2, 1],
  [2, 3, 4],
  [3, 2, 2, 3],
  [1, 4, 3, 2],
  [1, 1, 1, 2, 3],
];

function run(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor): tf.Tensor[] {
  const inputs = { x, scale, offset };
  return tf.engine().runKernel<tf.Tensor[]>('BatchNormTraining', inputs, { epsilon: EPSILON });
}

const caseOf = (shape: number[]) => {
  const channels = shape.at(-1)!;
  return example(
    `batch normalization of [${shape}]`,
    (x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) => run(x, scale, offset)[0]!,
    [shape, input([channels], 0.5, 1.5), [channels]],
  );
};

type Made = [y: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor];

const throughStatistics: Readonly<Record<string, (made: Made) => tf.Tensor>> = {
  mean: ([, mean]) => mean,
  variance: ([, , variance]) => variance,
  all: ([y, mean, variance]) => tf.add(tf.mul(y, variance), mean),
};

// With wasm alone nothing would be tested that cpu does not test.
describe.each(testBackends.filter((name) => name !== 'wasm'))('on %s', (backend) => {
  const undo: (() => void)[] = [];
  beforeAll(async () => {
    await activate(backend);
    undo.push(installGradients(), registerReference(tf.getBackend()));
  });
  afterAll(() => undo.forEach((each) => each()));

  test.each(shapes)('of [%i, %i, …] agrees with sums in float64', (...shape) => {
    const channels = shape.at(-1)!;
    const next = stream(5);
    const x = spread(tf.util.sizeFromShape(shape), 2, 5, next);
    const dy = spread(x.length, -1, 1, next);
    const [scale, offset] = [spread(channels, 0.5, 2, next), spread(channels, -1, 1, next)];
    const before = tf.memory().numTensors;
    const found = tf.tidy(() => {
      const [gain, shift] = [tf.tensor1d(scale), tf.tensor1d(offset)];
      const made = run(tf.tensor(x, shape), gain, shift).slice(0, 3);
      const weighted = (...given: tf.Tensor[]) =>
        tf.sum(tf.mul(run(given[0]!, given[1]!, given[2]!)[0]!, tf.tensor(dy, shape)));
      const gradients = tf.grads(weighted)([tf.tensor(x, shape), gain, shift]);
      return [...made, ...gradients].map((each) => [...each.dataSync()]);
    });
    const { mean, variance } = statisticsOf(x, channels);
    const { dx, dScale, dOffset } = normalizeGradient(dy, x, scale, EPSILON);
    const expected = [normalize(x, scale, offset, EPSILON), mean, variance, dx, dScale, dOffset];
    expected.forEach((values, i) =>
      expect(relativeError(found[i]!, [...values])).toBeLessThan(2e-5),
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(shapes)('the gradient and the Hessian of [%i, %i, …]', (...shape) => {
    const problem = problemOf(caseOf(shape));
    const before = tf.memory().numTensors;
    expectGradient(problem);
    expectHessian(problem);
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(Object.entries(throughStatistics))('through %s, twice', (_, take) => {
    const fn = (x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) =>
      take(run(x, scale, offset) as Made);
    const problem = problemOf(example('statistics', fn, [[4, 2], input([2], 0.5, 1.5), [2]]));
    const before = tf.memory().numTensors;
    expectGradient(problem);
    expectHessian(problem);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('the third derivative', () => {
    const { fn, ...rest } = problemOf(caseOf([4, 2]));
    const slope = (...inputs: tf.Tensor[]) =>
      tf.grads((...given: tf.Tensor[]) => tf.sum(tf.square(fn(...given))))(inputs)[0]!;
    expectHessian({ fn: slope, ...rest });
  });
});

describe.each(testBackends)('relu on %s', (backend) => {
  const undo: (() => void)[] = [];
  beforeAll(async () => {
    await activate(backend);
    undo.push(installGradients());
  });
  afterAll(() => undo.forEach((each) => each()));

  test('lets no gradient through at zero and below', () => {
    tf.tidy(() => {
      const x = tf.tensor1d([-2, -0, 0, 1e-30, 3]);
      const dy = tf.tensor1d([1, 2, 3, 4, 5]);
      const gradient = (along: tf.Tensor) => tf.grad((at: tf.Tensor) => tf.relu(at))(x, along);
      expect([...gradient(dy).dataSync()]).toEqual([0, 0, 0, 4, 5]);
      const again = tf.grad((along: tf.Tensor) => gradient(along))(
        dy,
        tf.tensor1d([6, 7, 8, 9, 1]),
      );
      expect([...again.dataSync()]).toEqual([0, 0, 0, 9, 1]);
    });
  });
});
