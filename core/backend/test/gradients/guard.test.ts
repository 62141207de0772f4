import { guardSecondOrder, installGradients, unsafeSecondOrder } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { activate } from './backends.js';
import { example, problemOf } from './cases.js';
import type { Case } from './cases.js';
import { cases } from './cases/index.js';
import { directions, gradient, hessianVector } from './differences.js';
import { secondOrderError } from './errors.js';

beforeAll(() => activate('cpu'));

let uninstall: () => void;
beforeEach(() => {
  uninstall = installGradients();
});
afterEach(() => uninstall());

const dilation = example(
  'dilation2d',
  (x: tf.Tensor, f: tf.Tensor) => tf.dilation2d(x as tf.Tensor4D, f as tf.Tensor3D, 1, 'valid'),
  [
    [1, 4, 4, 1],
    [2, 2, 1],
  ],
);

const demonstrations: Record<string, Case> = {
  'losses.softmaxCrossEntropy': cases.find(({ name }) => name === 'losses.softmaxCrossEntropy')!,
  dilation2d: dilation,
};

const hessian = (one: Case) => {
  const problem = problemOf(one);
  return hessianVector(problem, directions(problem, 1, 5)[0]!);
};

describe.each(unsafeSecondOrder)('$op', ({ op, kind }) => {
  const one = demonstrations[op]!;

  test(`is ${kind} at second order, repairs and all`, () => {
    if (kind === 'throws') expect(() => hessian(one)).toThrow();
    else expect(secondOrderError(problemOf(one))).toBeGreaterThan(4e-3);
  });

  test('is refused by name', () => {
    const name = new RegExp(`through ${op.replace('losses.', '')} is not safe`, 'i');
    expect(() => guardSecondOrder(() => hessian(one))).toThrow(name);
  });

  test('may be differentiated once', () => {
    const once = gradient(problemOf(one));
    expect(guardSecondOrder(() => gradient(problemOf(one)))).toEqual(once);
  });
});

test('names the layer in which the operation was recorded', () => {
  let layer = 'conv1';
  const f = (x: tf.Tensor) => {
    const hidden = tf.tanh(x);
    layer = 'exit';
    const loss = tf.losses.softmaxCrossEntropy(tf.tensor2d([[0, 1]]), hidden);
    layer = 'later';
    return loss;
  };
  const twice = () => tf.grad((x) => tf.sum(tf.grad(f)(x)))(tf.tensor2d([[0.1, 0.3]]));
  expect(() => guardSecondOrder(twice, { labelOf: () => layer })).toThrow(
    /softmaxCrossEntropy in layer 'exit'.*logSoftmax/s,
  );
});

const customSquare = (saveIntermediate: boolean) =>
  tf.customGrad((...args) => {
    const [x, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc];
    const doubled = tf.mul(x, 2);
    save([saveIntermediate ? doubled : x]);
    const gradFunc = (dy: tf.Tensor, [saved]: tf.Tensor[]) =>
      tf.mul(dy, saveIntermediate ? saved! : tf.mul(saved!, 2));
    return { value: tf.square(x), gradFunc };
  });

test('a custom gradient that saves an intermediate value is refused, one that saves inputs is not', () => {
  const second = (f: (x: tf.Tensor) => tf.Tensor) => () =>
    tf
      .grad((x) => tf.sum(tf.mul(x, tf.grad(f)(x))))(tf.tensor([3]))
      .dataSync()[0];
  expect(guardSecondOrder(second(customSquare(false)))).toBe(12);
  expect(second(customSquare(true))()).not.toBe(12);
  expect(() => guardSecondOrder(second(customSquare(true)))).toThrow(/custom gradient/i);
});

const safe = cases.filter(({ orders }) => !orders);
test.each(safe)('lets the second order of $name through', (one) => {
  const without = hessian(one);
  expect(guardSecondOrder(() => hessian(one))).toEqual(without);
});

test('needs the repairs', () => {
  uninstall();
  expect(() => guardSecondOrder(() => 1)).toThrow(/Call installGradients\(\) first/);
});

test('is undone when the function throws', () => {
  expect(() =>
    guardSecondOrder(() => {
      throw new Error('mine');
    }),
  ).toThrow('mine');
  expect(Number.isFinite(secondOrderError(problemOf(cases[0]!)))).toBe(true);
});
