import type { Loss } from '@espalier/core';
import { onBackend, tensorsLeakedBy, tinySource, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

/** A loss of one's own, with something wrong in it. */
const own = (wrong: Partial<Record<keyof Loss, unknown>>): Loss => ({
  name: 'mine',
  classIds: true,
  perExample: (output) => tf.mean(output, -1),
  metrics: () => ({}),
  ...(wrong as object),
});
const boom = () => {
  throw new TypeError('boom');
};
const one = () => ({ x: tf.ones([2, 6]), y: tf.tensor1d([0, 1], 'int32') });

const losses: Readonly<Record<string, readonly [unknown, string, RegExp]>> = {
  throws: [boom, 'loss/failed', /loss 'mine' of output 'logits' failed: boom/],
  'is a scalar': [(o: tf.Tensor) => tf.mean(o), 'loss/values', /\[2\].*float32.*meanPerExample/],
  'has another shape': [(o: tf.Tensor) => o, 'loss/values', /\[2\].*\[2, 3\]/],
  'is a Promise': [() => Promise.resolve(tf.ones([2])), 'loss/values', /not an async one/],
  'is a number': [() => 3, 'loss/values', /Received: 3/],
};

describe('a loss that', () => {
  test.each(Object.entries(losses))('%s', (_, [perExample, code, message]) =>
    withSession(open({ loss: own({ perExample }) }), async (session) => {
      const batch = one();
      for (const act of [
        () => session.step(batch),
        () => session.loss(batch),
        () => session.evaluate(tinySource({ examples: 2, batchSize: 2 })),
      ]) {
        const leaked = await tensorsLeakedBy(async () => {
          const error = await refusal(act);
          expect(error.code).toBe(code);
          expect(error.message).toMatch(message);
        });
        expect(leaked).toBe(0);
      }
      expect(session.clock.step).toBe(0);
    }),
  );

  test('throws keeps its cause', () =>
    withSession(open({ loss: own({ perExample: boom }) }), async (session) => {
      const { cause } = await refusal(() => session.step(one()));
      expect(cause).toBeInstanceOf(TypeError);
    }));

  test('has no metrics', async () => {
    const error = await refusal(() => open({ loss: own({ metrics: undefined }) }));
    expect(error.code).toBe('session/loss');
    expect(error.message).toMatch(/'logits' has no function 'metrics'.*metrics: \(\) => \(\{\}\)/);
  });
});

test.each([
  ['throw', boom, 'loss/failed', /metrics of the loss 'mine' of output 'logits' failed: boom/],
  ['are a Promise', () => Promise.resolve({}), 'loss/values', /a Promise/],
  ['are a tensor', () => tf.ones([2]), 'loss/values', /by name/],
  ['have another shape', () => ({ hits: tf.scalar(1) }), 'evaluate/metric', /'hits'.*\[2\]/],
] as const)('metrics that %s', (_, metrics, code, message) =>
  withSession(open({ loss: own({ metrics }) }), async (session) => {
    const error = await refusal(() => session.evaluate(tinySource({ examples: 2, batchSize: 2 })));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  }),
);
