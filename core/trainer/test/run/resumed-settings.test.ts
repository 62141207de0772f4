import { packCheckpoint, unpackCheckpoint } from '@espalier/checkpoint';
import {
  adam,
  adamw,
  arraySource,
  chain,
  clipByGlobalNorm,
  cosineSchedule,
  memoryStore,
  sgd,
  tfjs,
  warmup,
} from '@espalier/core';
import type { RunManifest, SessionConfig } from '@espalier/core';
import { onBackend, tinySource } from '@espalier/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { open, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

async function written(config: Partial<SessionConfig>) {
  const store = memoryStore();
  const session = await open({ ...config, checkpoint: { store } });
  await session.fit({ epochs: 1 });
  await session.dispose();
  return store;
}

const rows = (more: { batchSize?: number; shuffle?: boolean } = {}) =>
  arraySource({
    x: { data: new Float32Array(24 * 6), shape: [24, 6] },
    y: { data: new Int32Array(24), shape: [24] },
    batchSize: 9,
    ...more,
  });

const cosine = (steps: number) => cosineSchedule({ initial: 0.1, steps });
const byStep = (late: number) => (step: number) => (step < 40 ? 0.1 : late);

describe('a run resumed with another', () => {
  it.each<[string, Partial<SessionConfig>, Partial<SessionConfig>, string, string]>([
    [
      'learning rate',
      { optimizer: sgd({ learningRate: 0.1 }) },
      { optimizer: sgd({ learningRate: 0.05 }) },
      'learningRate',
      'its sgd.learningRate was 0.1, now it is 0.05',
    ],
    [
      'schedule',
      { optimizer: adam({ learningRate: cosine(100) }) },
      { optimizer: adam({ learningRate: cosine(101) }) },
      'learningRate',
      'its adam.learningRate was {"cosineSchedule":{"floor":0,"initial":0.1,"steps":100}}, now it is {"cosineSchedule":{"floor":0,"initial":0.1,"steps":101}}',
    ],
    [
      'schedule in a schedule',
      { optimizer: sgd({ learningRate: warmup(5, cosine(100)) }) },
      { optimizer: sgd({ learningRate: warmup(5, cosine(99)) }) },
      'learningRate',
      '"steps":99}',
    ],
    [
      'function of the step',
      { optimizer: sgd({ learningRate: byStep(0.02) }) },
      { optimizer: sgd({ learningRate: byStep(0.01) }) },
      'learningRate',
      'its sgd.learningRate was 0.02 at step 40, now it is 0.01',
    ],
    [
      'rate of an optimizer of tfjs',
      { optimizer: tfjs.adam({ learningRate: 0.1 }) },
      { optimizer: tfjs.adam({ learningRate: 0.2 }) },
      'learningRate',
      'its tfjs.adam.learningRate was 0.1, now it is 0.2',
    ],
    [
      'momentum',
      { optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }) },
      { optimizer: sgd({ learningRate: 0.1, momentum: 0.8 }) },
      'optimizer',
      'its sgd.momentum was 0.9, now it is 0.8',
    ],
    [
      'weight decay',
      { optimizer: adamw() },
      { optimizer: adamw({ weightDecay: 0.1 }) },
      'optimizer',
      'its adamw.weightDecay was 0.01, now it is 0.1',
    ],
    [
      'clipping',
      { optimizer: chain(clipByGlobalNorm(1), adam()) },
      { optimizer: chain(clipByGlobalNorm(2), adam()) },
      'optimizer',
      'its chain.clipByGlobalNorm.maxNorm was 1, now it is 2',
    ],
    [
      'rate of a group',
      { optimizer: { model: sgd({ learningRate: 0.1 }) } },
      { optimizer: { model: sgd({ learningRate: 0.3 }) } },
      'learningRate',
      'its byGroup.model.learningRate was 0.1, now it is 0.3',
    ],
    [
      'batch size at equal batches per epoch',
      { train: rows() },
      { train: rows({ batchSize: 10 }) },
      'batchSize',
      'its batchSize was 9, now it is 10',
    ],
    [
      'shuffle',
      { train: rows() },
      { train: rows({ shuffle: false }) },
      'shuffle',
      'its shuffle was true, now it is false',
    ],
    [
      'validation data',
      { validation: tinySource({ seed: 1 }) },
      { validation: tinySource({ seed: 2 }) },
      'validation',
      "its validation data were '",
    ],
  ])(
    '%s is refused with both values, and allowed by name',
    async (_, before, after, name, text) => {
      const store = await written(before);
      const session = await open({ ...after, checkpoint: { store } });
      const error = await refusal(() => session.load());
      expect(error.code).toBe('checkpoint/mismatch');
      expect(error.message).toContain(text);
      expect(error.parts.details).toEqual({ allowMismatch: [name] });
      expect(await session.load({ allowMismatch: [name] })).toBe(true);
      await session.fit({ epochs: 1 });
      await session.dispose();
      const again = await open({ ...after, checkpoint: { store } });
      expect(await again.load()).toBe(true);
      await again.dispose();
    },
  );
});

describe('a run resumed with the same settings', () => {
  it.each<[string, () => Partial<SessionConfig>]>([
    ['a mask', () => ({ optimizer: adamw({ mask: (path) => path.endsWith('kernel') }) })],
    ['a function of the step', () => ({ optimizer: sgd({ learningRate: byStep(0.1) }) })],
    [
      'a rate that changes elsewhere',
      () => ({ optimizer: sgd({ learningRate: () => Date.now() }) }),
    ],
    ['groups', () => ({ optimizer: { model: adam({ learningRate: cosine(9) }) } })],
  ])('goes on: %s', async (_, config) => {
    const store = await written(config());
    const session = await open({ ...config(), checkpoint: { store } });
    expect(await session.load()).toBe(true);
    await session.dispose();
  });
});

it('a checkpoint that does not note settings is read, with a warning', async () => {
  const store = await written({ optimizer: sgd({ learningRate: 0.1 }) });
  const [name] = await store.list();
  const { manifest, tensors } = await unpackCheckpoint(await store.read(name!), name!);
  const old = { ...(manifest as RunManifest), settings: undefined };
  delete old.settings;
  await store.write(name!, await packCheckpoint({ manifest: old, tensors }));
  const session = await open({ optimizer: sgd({ learningRate: 0.2 }), checkpoint: { store } });
  const warnings: string[] = [];
  session.telemetry.on('warning', ({ message }) => warnings.push(message));
  expect(await session.load()).toBe(true);
  expect(warnings.join()).toContain('which did not note learning rates');
  await session.dispose();
});
