import type { OptimizerState } from '@espalier/optim';
import { chain, clipByNorm, ema, scaleByAdam, scaleByLearningRate, trace } from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { EVERY, GRADIENTS, PARAMS } from './battery.js';
import type { Values } from './support.js';
import { begin, mapValues, toTensors, toValues, train } from './support.js';

describe.each(['cpu', 'wasm'])('every transform on %s', (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it.each(Object.entries(EVERY))('%s resumes bit-identically from serialised slots', (_, make) => {
    const through = train(make(), begin(make(), PARAMS), GRADIENTS);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: GRADIENTS.length }), (k) => {
        const half = train(make(), begin(make(), PARAMS), GRADIENTS.slice(0, k));
        expect(train(make(), half, GRADIENTS.slice(k), k)).toEqual(through);
      }),
      { numRuns: 5, seed: 1 },
    );
  });

  it.each(Object.entries(EVERY))('%s does not depend on the order of keys', (_, make) => {
    const backwards = (host: Values) => Object.fromEntries(Object.entries(host).reverse());
    const state = begin(make(), backwards(PARAMS));
    const shuffled = train(
      make(),
      { params: state.params, slots: mapValues(state.slots, backwards) },
      GRADIENTS.map((grads, i) => (i % 2 ? backwards(grads) : grads)),
    );
    expect(shuffled).toEqual(train(make(), begin(make(), PARAMS), GRADIENTS));
  });

  it.each(Object.entries(EVERY))('%s leaves a path without a gradient as it was', (_, make) => {
    const frozen = GRADIENTS.map(({ 'a/bias': _bias, ...others }) => others);
    const start = begin(make(), PARAMS);
    const end = train(make(), start, frozen);
    expect(end.params['a/bias']).toEqual(start.params['a/bias']);
    expect(Object.keys(end.slots)).toEqual(Object.keys(start.slots));
    for (const [slot, tensors] of Object.entries(start.slots)) {
      expect(end.slots[slot]?.['a/bias']).toEqual(tensors['a/bias']);
    }
  });

  const joint = ['clipByGlobalNorm', 'everything'];
  const separate = Object.entries(EVERY).filter(([name]) => !joint.includes(name));
  it.each(separate)("%s: a missing gradient does not move another's state", (_, make) => {
    const gaps = GRADIENTS.map((grads, step) => {
      const { 'a/kernel': first, ...others } = grads;
      return step % 3 === 1 || !first ? others : grads;
    });
    const full = train(make(), begin(make(), PARAMS), GRADIENTS);
    const gappy = train(make(), begin(make(), PARAMS), gaps);
    const others = ({ 'a/kernel': _kernel, ...rest }: Values) => rest;
    expect(others(gappy.params)).toEqual(others(full.params));
    expect(mapValues(gappy.slots, others)).toEqual(mapValues(full.slots, others));
  });

  it.each(Object.entries(EVERY))('%s is pure and leaks nothing', (_, make) => {
    const transform = make();
    const state = begin(transform, PARAMS);
    const params = toTensors(PARAMS);
    const grads = toTensors(GRADIENTS[0] ?? {});
    const slots: OptimizerState = mapValues(state.slots, toTensors);
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      transform.update(grads, slots, params, { step: 0 });
    });
    expect(tf.memory().numTensors).toBe(before);
    expect(toValues(params)).toEqual(PARAMS);
    expect(toValues(grads)).toEqual(GRADIENTS[0]);
    expect(mapValues(slots, toValues)).toEqual(state.slots);
    tf.dispose([params, grads, slots]);
  });
});

describe('chain', () => {
  const parts = {
    clip: () => clipByNorm(0.5),
    adam: () => scaleByAdam(),
    trace: () => trace({ momentum: 0.9 }),
    rate: () => scaleByLearningRate(0.1),
    ema: () => ema(0.9),
  };
  const names = Object.keys(parts) as (keyof typeof parts)[];

  it('is associative, in slots too, and the empty chain is its identity', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(names, { minLength: 3, maxLength: 3 }), (chosen) => {
        const [a, b, c] = chosen.map((name) => parts[name]()) as [
          ReturnType<typeof chain>,
          ReturnType<typeof chain>,
          ReturnType<typeof chain>,
        ];
        const run = (transform: ReturnType<typeof chain>) =>
          train(transform, begin(transform, PARAMS), GRADIENTS.slice(0, 6));
        const flat = run(chain(a, b, c));
        expect(run(chain(chain(a, b), c))).toEqual(flat);
        expect(run(chain(a, chain(b, c)))).toEqual(flat);
        expect(run(chain(chain(), a, chain(b), c, chain()))).toEqual(flat);
      }),
      { numRuns: 12, seed: 2 },
    );
  });
});
