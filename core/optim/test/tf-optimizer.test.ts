import {
  byGroup,
  chain,
  clipByValue,
  fromTfOptimizer,
  restrict,
  withName,
  scale,
  sgd,
} from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { GRADIENTS, PARAMS } from './battery.js';
import type { State } from './support.js';
import { begin, mapValues, toTensors, toValues, train } from './support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function expectNear(actual: State, expected: State): void {
  for (const [path, { data }] of Object.entries(expected.params)) {
    data.forEach((value, i) => expect(actual.params[path]?.data[i]).toBeCloseTo(value, 5));
  }
}

describe('fromTfOptimizer', () => {
  it('moves parameters as the optimizer itself does', () => {
    const transform = fromTfOptimizer(() => tf.train.adam(0.05));
    const actual = train(transform, begin(transform, PARAMS), GRADIENTS);
    transform.dispose();
    const variables = mapValues(toTensors(PARAMS), (tensor) => tf.variable(tensor));
    const optimizer = tf.train.adam(0.05);
    for (const grads of GRADIENTS) {
      const named = Object.entries(toTensors(grads)).map(([path, tensor]) => ({
        name: variables[path]?.name ?? '',
        tensor,
      }));
      optimizer.applyGradients(named);
    }
    expectNear(actual, { params: toValues(variables), slots: {} });
    tf.disposeVariables();
  });

  it('keeps momentum by path where a gradient is missing, unlike tfjs alone', () => {
    const gaps = GRADIENTS.map((grads, step) => {
      const { 'a/kernel': first, ...others } = grads;
      return step % 3 === 1 || !first ? others : grads;
    });
    const adapted = fromTfOptimizer(() => tf.train.momentum(0.1, 0.9));
    const own = sgd({ learningRate: 0.1, momentum: 0.9 });
    expectNear(train(adapted, begin(adapted, PARAMS), gaps), train(own, begin(own, PARAMS), gaps));
    adapted.dispose();
  });

  it.each<[string, () => tf.Optimizer]>([
    ['sgd', () => tf.train.sgd(0.1)],
    ['momentum', () => tf.train.momentum(0.1, 0.9)],
    ['adagrad', () => tf.train.adagrad(0.1)],
    ['adadelta', () => tf.train.adadelta(0.1)],
    ['rmsprop', () => tf.train.rmsprop(0.01, 0.9, 0.5, 1e-3)],
    ['adam', () => tf.train.adam(0.01)],
    ['adamax', () => tf.train.adamax(0.01)],
  ])('takes tf.train.%s for many steps without a growing count of tensors', (_, factory) => {
    const before = tf.memory().numTensors;
    const adapted = fromTfOptimizer(factory);
    const early = train(adapted, begin(adapted, PARAMS), GRADIENTS.slice(0, 2));
    const held = tf.memory().numTensors;
    const late = train(adapted, early, GRADIENTS.slice(2), 2);
    expect(tf.memory().numTensors).toBe(held);
    expect(late.params).not.toEqual(early.params);
    Object.values(late.params).forEach(({ data }) =>
      expect(data.every(Number.isFinite)).toBe(true),
    );
    adapted.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('takes a schedule by scale and composes', () => {
    const rate = (step: number) => 0.1 / (1 + step);
    const adapted = fromTfOptimizer(() => tf.train.sgd(1));
    const scheduled = chain(clipByValue(0.5), adapted, scale(rate));
    const own = chain(clipByValue(0.5), sgd({ learningRate: rate }));
    expectNear(
      train(scheduled, begin(scheduled, PARAMS), GRADIENTS),
      train(own, begin(own, PARAMS), GRADIENTS),
    );
    adapted.dispose();
  });

  it('says that it cannot be resumed, wherever it stands', () => {
    const adapted = fromTfOptimizer(() => tf.train.sgd(1));
    const wrapped = [
      chain(clipByValue(1), adapted),
      withName('x', adapted),
      restrict(adapted, () => true),
      byGroup({ all: chain(adapted) }, () => 'all'),
    ];
    for (const transform of [adapted, ...wrapped]) expect(transform.resumable).toBe(false);
    expect(chain(clipByValue(1), scale(2)).resumable).toBe(true);
  });

  it('frees its shadows and starts anew on dispose and on init', () => {
    const before = tf.memory().numTensors;
    const adapted = fromTfOptimizer(() => tf.train.momentum(0.1, 0.9));
    const outer = byGroup({ all: chain(adapted) }, () => 'all');
    const first = train(outer, begin(outer, PARAMS), GRADIENTS);
    expect(tf.memory().numTensors).toBeGreaterThan(before);
    expect(train(outer, begin(outer, PARAMS), GRADIENTS)).toEqual(first);
    outer.dispose?.();
    expect(tf.memory().numTensors).toBe(before);
  });
});
