import type { GradientTransform } from '@espalier/optim';
import { adam, rmsprop, tfjs } from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { GRADIENTS, PARAMS } from './battery.js';
import type { Values } from './support.js';
import { begin, mapValues, toTensors, toValues, train } from './support.js';

const learningRate = 0.05;
const few = { learningRate };
/** For each optimizer of tf.train: itself, the same by options, and as people get it from either. */
const OPTIMIZERS: Record<string, readonly [() => tf.Optimizer, () => GradientTransform]> = {
  sgd: [() => tf.train.sgd(learningRate), () => tfjs.sgd(few)],
  momentum: [
    () => tf.train.momentum(learningRate, 0.9),
    () => tfjs.momentum({ ...few, momentum: 0.9 }),
  ],
  'momentum, Nesterov': [
    () => tf.train.momentum(learningRate, 0.9, true),
    () => tfjs.momentum({ ...few, momentum: 0.9, useNesterov: true }),
  ],
  adam: [() => tf.train.adam(), () => tfjs.adam()],
  'adam, every option': [
    () => tf.train.adam(learningRate, 0.8, 0.99, 1e-4),
    () => tfjs.adam({ ...few, beta1: 0.8, beta2: 0.99, epsilon: 1e-4 }),
  ],
  adamax: [() => tf.train.adamax(), () => tfjs.adamax()],
  'adamax, every option': [
    () => tf.train.adamax(learningRate, 0.8, 0.99, 1e-4, 0.1),
    () => tfjs.adamax({ ...few, beta1: 0.8, beta2: 0.99, epsilon: 1e-4, decay: 0.1 }),
  ],
  rmsprop: [() => tf.train.rmsprop(learningRate), () => tfjs.rmsprop(few)],
  'rmsprop, every option': [
    () => tf.train.rmsprop(learningRate, 0.95, 0.5, 1e-5, true),
    () => tfjs.rmsprop({ ...few, decay: 0.95, momentum: 0.5, epsilon: 1e-5, centered: true }),
  ],
  adagrad: [() => tf.train.adagrad(learningRate), () => tfjs.adagrad(few)],
  'adagrad, every option': [
    () => tf.train.adagrad(learningRate, 0.5),
    () => tfjs.adagrad({ ...few, initialAccumulatorValue: 0.5 }),
  ],
  adadelta: [() => tf.train.adadelta(), () => tfjs.adadelta()],
  'adadelta, every option': [
    () => tf.train.adadelta(1, 0.9, 1e-6),
    () => tfjs.adadelta({ learningRate: 1, rho: 0.9, epsilon: 1e-6 }),
  ],
};

/** What tfjs itself makes of the battery; `before` sees the optimizer before each step. */
function ofTfjs(optimizer: tf.Optimizer, before?: (step: number) => void): Values {
  return tf.tidy(() => {
    const variables = mapValues(toTensors(PARAMS), (tensor) => tf.variable(tensor));
    GRADIENTS.forEach((grads, step) => {
      before?.(step);
      const named = Object.entries(toTensors(grads)).map(([path, tensor]) => ({
        name: variables[path]!.name,
        tensor,
      }));
      optimizer.applyGradients(named);
    });
    const values = toValues(variables);
    tf.disposeVariables();
    return values;
  });
}

const ofOurs = (transform: GradientTransform) =>
  train(transform, begin(transform, PARAMS), GRADIENTS).params;

describe.each(['cpu', 'wasm'])('tfjs.* on %s', (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it.each(Object.entries(OPTIMIZERS))('%s: every bit is that of tf.train', (_, [theirs, ours]) => {
    const expected = ofTfjs(theirs());
    expect(ofOurs(ours())).toEqual(expected);
    expect(ofOurs(tfjs.convert(theirs()))).toEqual(expected);
  });
});

describe('tfjs.*', () => {
  beforeAll(async () => {
    await tf.setBackend('cpu');
  });

  it('follows a schedule as tfjs follows a rate that is set before each step', () => {
    const schedule = (step: number) => 0.1 / (1 + step);
    const theirs = tf.train.momentum(1, 0.9) as tf.MomentumOptimizer;
    const expected = ofTfjs(theirs, (step) =>
      tf.tidy(() => theirs.setLearningRate(schedule(step))),
    );
    expect(ofOurs(tfjs.momentum({ learningRate: schedule, momentum: 0.9 }))).toEqual(expected);
  });

  it('is not what the defaults do: those are PyTorch’s', () => {
    expect(ofOurs(adam())).not.toEqual(ofOurs(tfjs.adam()));
    expect(ofOurs(rmsprop({ ...few }))).not.toEqual(ofOurs(tfjs.rmsprop(few)));
  });

  it('has a name that says whose it is, and all of its state in slots', () => {
    for (const [, ours] of Object.values(OPTIMIZERS)) {
      expect(ours().name).toMatch(/^tfjs\./);
      expect(ours().resumable).not.toBe(false);
    }
  });

  it.each<[string, () => unknown]>([
    ['tfjs.adam: unknown option', () => tfjs.adam({ eps: 1 } as never)],
    ['tfjs.rmsprop', () => tfjs.rmsprop({} as never)],
    ['tfjs.momentum', () => tfjs.momentum({ learningRate: 0.1, momentum: 1 })],
  ])('refuses bad options by name: %s', (named, make) => {
    expect(make).toThrow(named);
  });
});

describe('tfjs.convert refuses', () => {
  it('a class of one’s own, though it extends one of tf.train', () => {
    class Mine extends tf.SGDOptimizer {}
    expect(() => tfjs.convert(new Mine(0.1))).toThrow(/Mine.*fromTfOptimizer.*optim\/convert/);
  });

  it('an optimizer with state: it would start anew without a word', () => {
    const used = tf.train.adam();
    used.applyGradients({});
    expect(() => tfjs.convert(used)).toThrow(/taken steps.*Received: 1.*optim\/convert/);
  });
});
