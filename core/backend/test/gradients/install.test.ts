import { gradientsInstalled, installGradients } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { activate } from './backends.js';

beforeAll(() => activate('cpu'));

const undo: (() => void)[] = [];
const install = () => {
  const uninstall = installGradients();
  undo.push(uninstall);
  return uninstall;
};
afterEach(() => undo.splice(0).forEach((uninstall) => uninstall()));

const kernelNames = Object.values(tf).filter((value) => typeof value === 'string');

function registry() {
  return kernelNames.map((name) => [name, tf.getGradient(name)] as const);
}

const secondDerivative = () =>
  tf.tidy(() => {
    const slope = tf.grad((x: tf.Tensor) => tf.sum(tf.tanh(x)));
    return tf
      .grad((x: tf.Tensor) => tf.sum(slope(x)))(tf.scalar(0.5))
      .dataSync()[0]!;
  });

const expected = -2 * Math.tanh(0.5) * (1 - Math.tanh(0.5) ** 2);

test('nothing changes before the installation', () => {
  expect(gradientsInstalled()).toBe(false);
  expect(secondDerivative).toThrow(/Cannot compute gradient/);
});

test('an installation is undone exactly', () => {
  const before = registry();
  const properties = Object.getOwnPropertyDescriptors(tf.engine());
  const uninstall = install();
  expect(secondDerivative()).toBeCloseTo(expected, 5);
  expect(registry()).not.toEqual(before);
  uninstall();
  registry().forEach(([name, config], i) => expect(config, name).toBe(before[i]![1]));
  expect(Object.keys(Object.getOwnPropertyDescriptors(tf.engine()))).toEqual(
    Object.keys(properties),
  );
  expect(secondDerivative).toThrow(/Cannot compute gradient/);
});

test('installations are counted; each caller undoes its own, once', () => {
  const first = install();
  const second = install();
  first();
  first();
  expect(secondDerivative()).toBeCloseTo(expected, 5);
  second();
  expect(gradientsInstalled()).toBe(false);
  install();
  expect(secondDerivative()).toBeCloseTo(expected, 5);
});

test('an engine of another shape is refused, and nothing is changed', () => {
  const before = registry();
  const engine = tf.engine() as unknown as Record<string, unknown>;
  engine['addTapeNode'] = undefined;
  try {
    expect(installGradients).toThrow(/it has no addTapeNode.*4\.22/s);
  } finally {
    delete engine['addTapeNode'];
  }
  expect(registry()).toEqual(before);
  expect(gradientsInstalled()).toBe(false);
});

test('an engine that records in another place is refused', () => {
  const prototype = Object.getPrototypeOf(tf.engine()) as { addTapeNode: () => void };
  const spy = vi.spyOn(prototype, 'addTapeNode').mockImplementation(() => {});
  expect(installGradients).toThrow(/does not append/);
  spy.mockRestore();
});

test('a gradient registered over a repaired one is reported', () => {
  install();
  const repaired = tf.getGradient(tf.AvgPool);
  tf.registerGradient({ kernelName: tf.AvgPool, gradFunc: (dy) => ({ x: () => dy as tf.Tensor }) });
  expect(secondDerivative).toThrow(/AvgPool was replaced after installGradients/);
  tf.registerGradient(repaired);
});

test('an engine method replaced later is not overwritten by the uninstallation', () => {
  const uninstall = install();
  const engine = tf.engine() as unknown as { addTapeNode: unknown };
  const ours = engine.addTapeNode;
  engine.addTapeNode = () => {};
  expect(uninstall).toThrow(/something replaced it/);
  engine.addTapeNode = ours;
});
