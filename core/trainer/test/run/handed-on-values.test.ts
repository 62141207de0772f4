import {
  arraySource,
  binaryCrossEntropy,
  crossEntropy,
  definePlugin,
  meanSquaredError,
} from '@espalier/core';
import type {
  Batch,
  Loss,
  NamedTensors,
  Plugin,
  PluginContext,
  SessionConfig,
} from '@espalier/core';
import {
  backendsUnderTest,
  firstDifference,
  liveTensors,
  onBackend,
  tinyData,
  tinyNoisyMlp,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

/** A plugin that changes targets in one of the two hooks that may. */
const changing = (
  id: string,
  hook: 'batch' | 'targets',
  change: (target: Tensor) => Tensor,
): Plugin =>
  plugin(id, {
    apply(ctx) {
      const all = (targets: NamedTensors) =>
        Object.fromEntries(
          Object.entries(targets).map(([name, y]) => [name, tf.tidy(() => change(y))]),
        );
      if (hook === 'targets') ctx.hooks.targets.tap(all);
      else ctx.hooks.batch.tap((batch) => ({ ...batch, targets: all(batch.targets) }));
    },
  });
const harmless = (id: string, hook: 'batch' | 'targets') => changing(id, hook, (y) => tf.clone(y));

const data = tinyData();
const rowsOf = (fill: (row: number) => number[]) => ({
  shape: [24, 3],
  data: Float32Array.from(Array.from({ length: 24 }, (_, row) => fill(row)).flat()),
});
const oneHot = rowsOf((row) => [0, 1, 2].map((unit) => Number(unit === row % 3)));

/** What a tap may do to targets that are right, and what is said of it. */
const CHANGES: [string, Loss, typeof data.y, (y: Tensor) => Tensor, string][] = [
  ['ids + 5', crossEntropy(), data.y, (y) => tf.add(y, 5), 'targets/range'],
  ['ids − 1', crossEntropy(), data.y, (y) => tf.sub(y, 1), 'targets/range'],
  ['half ids', crossEntropy(), data.y, (y) => tf.div(tf.cast(y, 'float32'), 2), 'targets/range'],
  ['ids [batch, 1]', crossEntropy(), data.y, (y) => tf.expandDims(y, 1), 'targets/shape'],
  ['doubled distributions', crossEntropy(), oneHot, (y) => tf.mul(y, 2), 'targets/distribution'],
  ['signs', binaryCrossEntropy(), oneHot, (y) => tf.sub(tf.mul(y, 2), 1), 'targets/probability'],
  [
    'one column for three',
    binaryCrossEntropy(),
    oneHot,
    (y) => tf.slice(y, [0, 0], [-1, 1]),
    'targets/shape',
  ],
  [
    'a column of numbers',
    meanSquaredError(),
    oneHot,
    (y) => tf.slice(y, [0, 0], [-1, 1]),
    'targets/shape',
  ],
  [
    'numbers that are NaN',
    meanSquaredError(),
    oneHot,
    (y) => tf.log(tf.sub(y, 2)),
    'targets/not-finite',
  ],
];

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  describe.each(['batch', 'targets'] as const)(
    'what a %s tap hands on is checked as a source’s:',
    (hook) => {
      test.each(CHANGES)('%s', async (_name, loss, y, change, code) => {
        const plugins = [
          harmless('a-batch', 'batch'),
          harmless('b-targets', 'targets'),
          changing('bad', hook, change),
        ];
        const train = arraySource({ x: data.x, y, batchSize: 4 });
        const config = { loss, train, plugins, accumulate: 2, model: tinyNoisyMlp };
        await withSession(open(config), async (session) => {
          const [before, tensors] = [valuesOf(session.parameters()), liveTensors()];
          const error = await refusal(() => session.fit({ epochs: 1 }));
          expect(error.code).toBe(code);
          expect(error.place).toEqual({ plugin: 'bad', hook, step: 0 });
          expect(firstDifference(valuesOf(session.parameters()), before)).toBeUndefined();
          expect(liveTensors()).toBe(tensors);
        });
      });
    },
  );
});

describe('on cpu', () => {
  beforeAll(() => onBackend('cpu'));

  test.each([
    ['negative', [-1, 1, 1, 1, 1, 1]],
    ['NaN', [1, NaN, 1, 1, 1, 1]],
  ])('weights that are %s are refused, naming the tap', async (_name, weights) => {
    const giving = (id: string, values: number[]) =>
      plugin(id, {
        apply: (ctx) =>
          ctx.hooks.batch.tap((batch) => ({ ...batch, weights: tf.tensor1d(values) })),
      });
    const plugins = [giving('a', [1, 2, 1, 2, 1, 2]), giving('b', weights), giving('c', weights)];
    await withSession(open({ plugins }), async (session) => {
      const tensors = liveTensors();
      const error = await refusal(() => session.fit({ epochs: 1 }));
      expect(error.code).toBe('batch/weights');
      expect(error.place).toEqual({ plugin: 'b', hook: 'batch', step: 0 });
      expect(liveTensors()).toBe(tensors);
    });
  });

  test('a plugin without a schema of its options is refused by name', async () => {
    const define = definePlugin as unknown as (given: object) => unknown;
    const error = await refusal(() => define({ id: 'bare', version: '1.0.0', apply: () => 0 }));
    expect(error.code).toBe('plugin/options');
    expect(error.message).toContain("'bare'");
  });

  test('an evaluation of its own gives NaN, never a plausible number', async () => {
    const plugins = [changing('bad', 'targets', (y) => tf.add(y, 5))];
    await withSession(open({ plugins }), async (session) => {
      const batch = await session.batch(
        { x: tf.ones([2, 6]), y: tf.tensor1d([0, 1], 'int32') },
        'a',
      );
      expect(session.objective(batch).dataSync()[0]).toBeNaN();
    });
  });

  test('also where another plugin replaces the task’s own term', async () => {
    const replacing = plugin('replacing', {
      effects: { 'loss:task/*': 'replace' },
      apply: (ctx) =>
        ctx.hooks.loss.tap(({ terms, mean, outputs }) => {
          const size = tf.sum(tf.square(outputs['logits']!), -1) as tf.Tensor1D;
          terms.replace('task/cross-entropy', mean(size));
        }),
    });
    const plugins = [changing('bad', 'targets', (y) => tf.add(y, 5)), replacing];
    await withSession(open({ plugins }), async (session) => {
      const error = await refusal(() => session.fit({ epochs: 1 }));
      expect(error.code).toBe('targets/range');
      expect(error.place?.plugin).toBe('bad');
    });
  });

  test('a tap that goes wrong in a later step is named, in that step', async () => {
    const late = plugin('late', {
      apply: (ctx) =>
        ctx.hooks.targets.tap((targets) =>
          ctx.clock.step < 2 ? targets : { logits: tf.add(targets['logits']!, 5) },
        ),
    });
    await withSession(open({ plugins: [late] }), async (session) => {
      const error = await refusal(() => session.fit({ epochs: 1 }));
      expect(error.place).toEqual({ plugin: 'late', hook: 'targets', step: 2 });
    });
  });

  test('weights of a batch tap excuse targets that count for nothing', async () => {
    const masking = plugin('masking', {
      apply: (ctx) =>
        ctx.hooks.batch.tap((batch: Batch) => ({
          ...batch,
          weights: tf.tensor1d([1, 1, 0, 1, 1, 1]),
          targets: { logits: tf.tensor1d([0, 1, 9, 2, 1, 0], 'int32') },
        })),
    });
    await withSession(open({ plugins: [masking] }), async (session) => {
      expect((await session.fit({ epochs: 1 })).status).toBe('completed');
    });
  });

  const gradients = (
    id: string,
    change: (given: NamedTensors, ctx: PluginContext) => NamedTensors,
  ) => plugin(id, { apply: (ctx) => ctx.hooks.gradients.tap((given) => change(given, ctx)) });
  const nan = (path: string) => (given: NamedTensors) => ({
    ...given,
    [path]: tf.mul(given[path]!, NaN),
  });

  test.each([
    ['first', ['a', 'b', 'c']],
    ['in the middle', ['a', 'c', 'b']],
    ['last', ['c', 'a', 'b']],
  ])(
    'NaN that a gradients tap brings in is its own, %s of three',
    async (_name, [id, ...others]) => {
      const sound = others.map((other) => gradients(other, (given) => ({ ...given })));
      const plugins = [gradients(id!, nan('hidden/kernel')), ...sound];
      await withSession(open({ plugins, model: tinyNoisyMlp }), async (session) => {
        const tensors = liveTensors();
        const error = await refusal(() => session.fit({ epochs: 1 }));
        expect(error.code).toBe('step/non-finite');
        expect(error.place).toEqual({ plugin: id, hook: 'gradients', step: 0 });
        expect(error.message).toContain("gradient of 'hidden/kernel'");
        expect(liveTensors()).toBe(tensors);
      });
    },
  );

  const adding = (id: string, value: () => tf.Scalar) =>
    plugin(id, { apply: (ctx) => ctx.hooks.loss.tap(({ terms }) => terms.add('odd', value())) });
  const step = async (config: Partial<SessionConfig>) =>
    withSession(open(config), (session) => refusal(() => session.fit({ epochs: 1 })));

  test('NaN that a loss tap adds is named after its term and plugin', async () => {
    const sound = adding('a-sound', () => tf.scalar(1));
    const error = await step({ plugins: [sound, adding('odd', () => tf.scalar(NaN))] });
    expect(error.place).toEqual({ plugin: 'odd', hook: 'loss', step: 0 });
    expect(error.message).toContain("the loss term 'odd/odd' is not finite");
  });

  test('and so is a term that another plugin replaces by NaN', async () => {
    const replacing = plugin('replacing', {
      effects: { 'loss:task/*': 'replace' },
      apply: (ctx) =>
        ctx.hooks.loss.tap(({ terms }) => terms.replace('task/cross-entropy', tf.scalar(NaN))),
    });
    const error = await step({ plugins: [replacing] });
    expect(error.message).toContain("'task/cross-entropy', as 'replacing' replaced it,");
  });

  test('NaN in the data is no plugin’s fault', async () => {
    const broken = plugin('broken', {
      apply: (ctx) =>
        ctx.hooks.batch.tap((batch) => ({
          ...batch,
          inputs: { hidden_input: tf.fill([batch.size, 6], NaN) },
        })),
    });
    const error = await step({ plugins: [broken, adding('sound', () => tf.scalar(1))] });
    expect(error.place).toBeUndefined();
    expect(error.message).toMatch(/the data hold NaN in 'hidden_input'/);
  });

  test('a run whose taps change nothing is checked on the host only', async () => {
    const source = tinySource({ batchSize: 6 });
    const kernels = async (plugins: Plugin[]) =>
      withSession(open({ train: source, plugins }), async (session) => {
        const batch = await session.batch(
          { x: tf.ones([2, 6]), y: tf.tensor1d([0, 1], 'int32') },
          'a',
        );
        const profile = await tf.profile(() => session.objective(batch));
        return profile.kernelNames.filter((name) => ['All', 'LogicalAnd'].includes(name));
      });
    expect(await kernels([])).toEqual([]);
    expect(await kernels([harmless('same', 'targets')])).not.toEqual([]);
  });
});
