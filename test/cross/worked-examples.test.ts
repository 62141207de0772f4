import { createSession, crossEntropy, sgd } from '@espalier/core';
import type { Session } from '@espalier/core';
import {
  openSession,
  testPlugin,
  tinyMlp,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { lowRankAdapters } from '../../examples/low-rank-adapters/low-rank-adapters.js';
import { estimate, noiseScale } from '../../examples/noise-scale/noise-scale.js';

testPlugin(lowRankAdapters, [{ name: 'rank 2', options: { rank: 2 } }], { backends: ['cpu'] });
testPlugin(noiseScale, [{ name: 'every step', options: { every: 1 } }], { backends: ['cpu'] });

const adapted = (options: object) =>
  openSession({ name: 'adapters', factory: lowRankAdapters, options, model: tinyMlp });

const predict = async (session: Session, x: tf.Tensor) =>
  valuesOf(await session.predict(x)).get('logits')!;

describe('low-rank adapters', () => {
  test('start as the model without them', async () => {
    const x = tf.ones([2, 6]);
    const base = createSession({
      model: tinyMlp,
      loss: crossEntropy(),
      optimizer: sgd({ learningRate: 0.05 }),
      train: tinySource(),
      seed: 7,
    });
    const plain = await withSession(base, (session) => predict(session, x));
    const same = await withSession(adapted({}), (session) => predict(session, x));
    expect(same).toEqual(plain);
  });

  test('train A and B only', () =>
    withSession(adapted({ layers: ['hidden'] }), async (session) => {
      const trainable = Object.keys(session.parameters({ trainable: true }));
      expect(trainable).toEqual(['hidden/adapter_a', 'hidden/adapter_b']);
      const before = valuesOf(session.parameters());
      await session.fit({ epochs: 1 });
      const after = valuesOf(session.parameters());
      const changed = [...before].filter(
        ([path, values]) => String(values) !== String(after.get(path)),
      );
      expect(changed.map(([path]) => path)).toEqual(trainable);
    }));

  test('are merged at export: ordinary layers, the same outputs', () =>
    withSession(adapted({ rank: 2, alpha: 4 }), async (session) => {
      await session.fit({ epochs: 1 });
      const x = tf.ones([2, 6]);
      const merged = session.export({ dense: true });
      const classes = merged.layers.map((layer) => layer.getClassName());
      expect(classes).toEqual(['InputLayer', 'Dense', 'Dense']);
      const before = await predict(session, x);
      const after = valuesOf({ logits: merged.predict(x) as tf.Tensor }).get('logits')!;
      merged.dispose();
      before.forEach((value, i) => expect(after[i]).toBeCloseTo(value, 5));
    }));

  test('refuse a layer that is not dense, by name', async () => {
    await expect(adapted({ layers: ['hiden'] })).rejects.toThrow("no dense layer 'hiden'");
  });
});

test('the noise scale estimates signal and noise without bias', () => {
  // |g_n|² = |G|² + tr Σ / n, with |G|² = 3 and tr Σ = 8
  const { signal, noise } = estimate(
    { small: 3 + 8 / 2, large: 3 + 8 / 16 },
    { small: 2, large: 16 },
  );
  expect([signal, noise]).toEqual([3, 8]);
});
