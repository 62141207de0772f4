import {
  createSession,
  crossEntropy,
  definePlugin,
  EXITS,
  memoryStore,
  resolvePreset,
  sgd,
} from '@espalier/core';
import type { Preset, SessionConfig } from '@espalier/core';
import { BILEVEL, runProblem, verify } from '@espalier/plugin-bilevel';
import type { VerifyOptions } from '@espalier/plugin-bilevel';
import type { LabelGeneratorOptions } from '@espalier/plugin-soft-targets';
import { metadistiller } from '@espalier/preset-metadistiller';
import type { MetadistillerOptions } from '@espalier/preset-metadistiller';
import {
  backendsUnderTest,
  firstDifference,
  onBackend,
  tinyCnn,
  tinyData,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

const at = ['stage1_relu', 'stage2_relu'];
const small: MetadistillerOptions = {
  at,
  generator: { channels: 4 },
  meta: { warmup: 1, interval: 1 },
};

const open = (preset: Preset, more: Partial<SessionConfig> = {}) =>
  createSession({
    model: tinyCnn,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }),
    train: tinySource({ shape: [8, 8, 1], examples: 20 }),
    preset,
    seed: 4,
    ...more,
  });

function smoothNet(): LayersModel {
  const conv = (name: string, filters: number, strides: number, first = {}) =>
    layers.conv2d({
      name,
      filters,
      strides,
      kernelSize: 3,
      padding: 'same',
      activation: 'tanh',
      ...first,
    });
  return sequential({
    layers: [
      conv('first', 4, 1, { inputShape: [8, 8, 1] }),
      conv('second', 4, 2),
      conv('third', 4, 2),
      layers.globalAveragePooling2d({ name: 'pool' }),
      layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}

async function optionsOf(preset: Preset) {
  const { plugins } = await resolvePreset(JSON.parse(JSON.stringify(preset)) as Preset);
  return Object.fromEntries(plugins.map(({ id, options }) => [id, options]));
}

describe('resolves', () => {
  test('to exits, generator, distillation and meta-learning', async () => {
    expect(await optionsOf(metadistiller({ at }))).toMatchObject({
      'multi-exit': { at, branch: 'bottleneck' },
      'label-generator': {
        learningRate: 1e-2,
        labelWeight: {
          ...{ weight: 1, until: 'better', earliest: 3, latest: 10 },
          ...{ then: 0.3, restart: true },
        },
      },
      'exit-distillation': { alpha: 0.1, temperature: 3, hint: 0 },
      bilevel: {
        variables: ['label-generator:*'],
        loss: ['task/*', 'multi-exit/*'],
        interval: 8,
        warmup: 0,
        share: 0.1,
        innerLearningRate: 'run',
        estimator: 'jvp',
      },
    });
  });

  test('without meta-learning to a generator that goes on learning from labels alike', async () => {
    const found = await optionsOf(metadistiller({ meta: false }));
    expect(found).toMatchObject({ 'label-generator': { labelWeight: 1, learningRate: 1e-2 } });
    expect(found).not.toHaveProperty('bilevel');
  });

  test('with one warm-up by steps for labels and meta-learning', async () => {
    expect(await optionsOf(metadistiller({ meta: { warmup: 5, interval: 2 } }))).toMatchObject({
      'label-generator': { labelWeight: { weight: 1, steps: 5, then: 0.3, restart: true } },
      bilevel: { warmup: 5, interval: 2 },
    });
    expect(await optionsOf(metadistiller({ meta: { warmup: 0 } }))).toMatchObject({
      'label-generator': { labelWeight: 0.3 },
    });
  });

  test.each<[LabelGeneratorOptions['labelWeight'], number | undefined]>([
    [0, undefined],
    [{ steps: 3 }, undefined],
    [{ epochs: 2, then: 0.1 }, 0.1],
    [0.5, 0.1],
  ])('with labels of weight %o to a hypergradient of the share %o', async (labelWeight, share) => {
    const { bilevel } = await optionsOf(metadistiller({ generator: { labelWeight } }));
    expect((bilevel as { share?: number }).share).toBe(share);
  });

  test.each<[number[] | Record<string, number>, Record<string, number>]>([
    [[0.5, 0, 2], { 'multi-exit/exit_1': 0.5, 'task/*': 2 }],
    [
      { logits: 1, exit_2: 0.3 },
      { 'task/*': 1, 'multi-exit/exit_2': 0.3 },
    ],
  ])('with the outer weights %j', async (weights, loss) => {
    expect(await optionsOf(metadistiller({ at, meta: { weights } }))).toMatchObject({
      bilevel: { loss },
      'outer-weights': { weights },
    });
  });

  test.each([
    [{ temprature: 2 }, "unknown option 'temprature'. Did you mean 'temperature'?"],
    [{ alpha: 2 }, "option 'alpha'"],
    [{ meta: { interval: 0 } }, "option 'meta"],
    [{ meta: { weights: [0, 0] } }, "option 'meta"],
    [{ meta: { share: 1 }, generator: { labelWeight: 0 } }, "option 'meta.share': is relative"],
    [{ meta: { share: 1 }, generator: { labelWeight: { steps: 3 } } }, "option 'meta.share'"],
    [{ generator: { channels: 0 } }, "option 'generator.channels'"],
  ])('refuses %j under its own name', (options, message) => {
    const make = () => metadistiller(options as MetadistillerOptions);
    expect(make).toThrow("preset 'metadistiller'");
    expect(make).toThrow(message);
  });
});

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  // Differences across the kink of a ReLU are no derivatives: there, the exact derivative of the ops is compared with.
  test.each<[string, MetadistillerOptions, () => LayersModel, VerifyOptions, number]>([
    [
      'a smooth network',
      { at: ['first', 'second'], branch: 'linear', generator: { channels: 4, block: 'none' } },
      smoothNet,
      { directions: 6, step: 0.5 },
      0.9999,
    ],
    ['one with ReLUs', small, tinyCnn, { reference: 'unroll' }, 0.99],
  ])('the hypergradient of the generator of %s is right', (_, options, model, how, least) =>
    withSession(open(metadistiller({ ...options, alpha: 0.5 }), { model }), async (session) => {
      const { x, y } = tinyData({ shape: [8, 8, 1], examples: 12 });
      const batch = (from: number) => ({
        x: tf.slice(tf.tensor(x.data, x.shape as number[]), from, 6),
        y: tf.slice(tf.tensor1d(Array.from(y.data), 'int32'), from, 6),
      });
      const problem = runProblem(session, {
        variables: ['label-generator:*'],
        loss: ['task/*', 'multi-exit/*'],
        microBatches: [await session.batch(batch(0), 'a')],
        outer: await session.batch(batch(6), 'b'),
        optimizer: sgd({ learningRate: 0.1 }),
      });
      const { results } = await verify(problem, { ...how, runs: 1 });
      expect(results.map(({ estimator }) => estimator)).toEqual([
        ...['finite-difference', 'jvp', 'unroll'],
      ]);
      for (const { cosine } of results) expect(cosine).toBeGreaterThan(least);
    }),
  );
});

describe('refuses when the session is created', () => {
  beforeAll(() => onBackend('cpu'));

  test.each<[number[] | Record<string, number>, RegExp]>([
    [
      [1, 1],
      /has 3 exits \(exit_1, exit_2, logits\), and there are 2 outer weights.*outer-weights/,
    ],
    [{ exit_3: 1 }, /outer weight for 'exit_3'.*no such exit.*'exit_[12]'.*outer-weights\/exits/],
    [{ exit_1: 1, last: 1 }, /outer weight for 'last'/],
  ])('outer weights %j for exits that are not there', async (weights, message) => {
    const preset = metadistiller({ ...small, meta: { weights } });
    await expect(open(preset)).rejects.toThrow(message);
  });

  test('a generator on a network with one exit', async () => {
    const preset = {
      extends: metadistiller(small),
      plugins: { 'multi-exit': { use: onlyTheLast } },
    };
    await expect(open(preset)).rejects.toThrow(/no auxiliary exit.*label-generator\/no-exits/);
  });
});

/** Exits that are none but the network's own output. */
const onlyTheLast = definePlugin({
  id: 'multi-exit',
  version: '1.0.0',
  options: z.looseObject({}),
  stateless: true,
  apply(ctx) {
    ctx.provide(EXITS, () => ({ names: ['logits'], layers: ['hidden'], macs: [1] }));
  },
});

describe('in a run', () => {
  beforeAll(() => onBackend('wasm'));

  const observed: { steps: number; outer: number }[] = [];
  const observer = definePlugin({
    id: 'observer',
    version: '1.0.0',
    options: z.strictObject({}),
    stateless: true,
    apply(ctx) {
      ctx.hooks.afterStep.tap(() => void observed.push({ ...ctx.get(BILEVEL) }));
    },
  });

  test('labels teach the generator first, then the outer loss, too; it is not exported', async () => {
    observed.length = 0;
    const preset = { extends: metadistiller(small), plugins: { observer: { use: observer } } };
    await withSession(open(preset), async (session) => {
      const { history } = await session.fit({ epochs: 2 });
      // The first step in which an outer step could be tells how large the labels' gradient is.
      expect(observed.map(({ steps }) => steps)).toEqual([0, 0, 1, 2, 2, 3, 4, 5, 6, 6]);
      expect(history[1]!.metrics).toHaveProperty('loss/label-generator/exit_1');
      expect(history[1]!.metrics).toHaveProperty('targets/exit_1/accuracy');
      const own = ({ layers: all }: LayersModel) => all.map(({ name }) => name);
      expect(own(session.export())).toEqual(['stage1_input', ...own(tinyCnn())]);
    });
  });

  test('resumes bit for bit in the middle of an epoch', async () => {
    const store = memoryStore();
    const preset = metadistiller(small);
    const whole = await withSession(open(preset), async (session) => {
      await session.fit({ untilEpoch: 2 });
      return valuesOf(session.parameters());
    });
    const checkpoint = { store, everySteps: 3 };
    const stop = new AbortController();
    await withSession(open(preset, { checkpoint }), async (session) => {
      session.telemetry.on('checkpoint', () => stop.abort());
      await session.fit({ untilEpoch: 2, signal: stop.signal });
      expect(session.clock.batchesInEpoch).toBe(3);
    });
    await withSession(open(preset, { checkpoint }), async (session) => {
      await session.load();
      await session.fit({ untilEpoch: 2 });
      expect(firstDifference(whole, valuesOf(session.parameters()))).toBeUndefined();
    });
  });
});
