import { installGradients, stopGradient } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activate, testBackends } from './backends.js';

describe.each(testBackends)('stopGradient on %s', (backend) => {
  let uninstall: () => void;
  beforeAll(async () => {
    await activate(backend);
    uninstall = installGradients();
  });
  afterAll(() => uninstall());

  const values = (compute: () => tf.Tensor) => [...tf.tidy(compute).dataSync()];

  test('gives the value, shape and dtype of tensors, variables and arrays', () => {
    const variable = tf.variable(tf.tensor([[1, 2]]));
    expect(stopGradient(variable).arraySync()).toEqual([[1, 2]]);
    expect(stopGradient([3, 4]).arraySync()).toEqual([3, 4]);
    expect(stopGradient(tf.tensor([1, 0], [2], 'int32')).dtype).toBe('int32');
    variable.dispose();
  });

  test('cuts one path and leaves the other', () => {
    const f = (x: tf.Tensor) => tf.sum(tf.mul(x, stopGradient(tf.square(x))));
    expect(values(() => tf.grad(f)(tf.tensor([2, 3])))).toEqual([4, 9]);
  });

  test('an input with no path left gets exact zeros', () => {
    const f = (x: tf.Tensor, y: tf.Tensor) => tf.sum(tf.mul(y, stopGradient(x)));
    const grads = tf.grads(f)([tf.tensor([2, 3]), tf.tensor([5, 7])]);
    expect(grads.map((g) => [...g.dataSync()])).toEqual([
      [0, 0],
      [2, 3],
    ]);
  });

  test('where every path is cut, tf.grad, tf.valueAndGrad and tf.variableGrads give zeros', () => {
    const f = (x: tf.Tensor) => tf.sum(stopGradient(tf.square(x)));
    const x = tf.tensor([2, 3]);
    expect(values(() => tf.grad(f)(x))).toEqual([0, 0]);
    expect(values(() => tf.valueAndGrad(f)(x).grad)).toEqual([0, 0]);
    const v = tf.variable(x);
    const { value, grads } = tf.variableGrads(() => f(v) as tf.Scalar, [v]);
    expect([...grads[v.name]!.dataSync()]).toEqual([0, 0]);
    expect(value.dataSync()[0]).toBe(13);
    v.dispose();
  });

  test('nothing infinite before the cut reaches the gradient', () => {
    const f = (x: tf.Tensor) => tf.add(tf.sum(x), tf.sum(stopGradient(tf.sqrt(x))));
    expect(values(() => tf.grad(f)(tf.tensor([0, 4])))).toEqual([1, 1]);
  });

  test('holds at second order', () => {
    // d/dx (x² c(x)) with c stopped is 2xc; its derivative, with the inner c stopped again, 2c.
    const f = (x: tf.Tensor) => tf.sum(tf.mul(tf.square(x), stopGradient(tf.exp(x))));
    const slope = tf.grad(f);
    const second = values(() => tf.grad((x) => tf.sum(slope(x)))(tf.tensor([0.5])));
    expect(second[0]).toBeCloseTo(2 * Math.exp(0.5), 4);
    const stopped = (x: tf.Tensor) => tf.sum(tf.mul(x, stopGradient(slope(x))));
    expect(values(() => tf.grad(stopped)(tf.tensor([0.5])))[0]).toBeCloseTo(Math.exp(0.5), 4);
  });

  test('a function without it keeps the error for an unconnected input', () => {
    const f = (x: tf.Tensor) => tf.sum(tf.square(x));
    const pair = [tf.scalar(1), tf.scalar(2)];
    expect(() => tf.grad(() => tf.scalar(1))(pair[0]!)).toThrow(/Cannot compute gradient/);
    expect(() => tf.grads((x) => f(x!))(pair)).toThrow(/Cannot compute gradient/);
    expect(() => tf.valueAndGrads((x) => f(x!))(pair)).toThrow(/Cannot compute gradient/);
  });

  test('leaves no tensor', () => {
    const x = tf.tensor([2, 3]);
    const before = tf.memory().numTensors;
    tf.dispose(stopGradient(x));
    tf.dispose(tf.grad((t) => tf.sum(stopGradient(tf.square(t))))(x));
    tf.dispose(tf.grad((t) => tf.sum(tf.mul(t, stopGradient(t))))(x));
    expect(tf.memory().numTensors).toBe(before);
  });
});
