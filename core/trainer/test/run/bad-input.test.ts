import {
  arraySource,
  crossEntropy,
  datasetSource,
  definePlugin,
  EspalierError,
  iterableSource,
  memoryStore,
} from '@espalier/core';
import type { Effects, Order, Plugin, PluginContext, SessionConfig } from '@espalier/core';
import {
  backendsUnderTest,
  firstDifference,
  liveTensors,
  onBackend,
  tinyData,
  tinyMlp,
  tinyNoisyMlp,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { open } from './sessions.js';

beforeAll(() => onBackend('cpu'));

interface Sketch {
  readonly effects?: Effects;
  readonly order?: Order;
  readonly apiVersion?: number;
  readonly stateless?: boolean;
  readonly apply?: (ctx: PluginContext) => void;
}

const plugin = (id: string, sketch: Sketch = {}): Plugin =>
  definePlugin({
    stateless: true,
    apply: () => undefined,
    ...(sketch as object),
    id,
    version: '1.0.0',
    options: z.strictObject({ rate: z.number().optional() }),
  } as never)();

function frozenHidden() {
  const model = tinyMlp();
  model.getLayer('hidden').trainable = false;
  return model;
}

/** The error of a failing promise; fails the test when it succeeds or throws something else. */
async function refusal(work: Promise<unknown>): Promise<EspalierError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EspalierError);
  return error as EspalierError;
}

describe('setup refuses', () => {
  test('two owners of one resource, naming both and the way out', async () => {
    const plugins = ['first', 'second'].map((id) =>
      plugin(id, { effects: { 'structure:embedding': 'own' } }),
    );
    const error = await refusal(open({ plugins }));
    expect(error.code).toBe('effects/conflict');
    expect(error.message).toMatch(/'first'.*'second'.*\{ second: false \}/);
  });

  test('an owner beside a wildcard that covers the same resource', async () => {
    const plugins = [
      plugin('all', { effects: { 'weights:*': 'modify' } }),
      plugin('one', { effects: { 'weights:decoder/kernel': 'own' } }),
    ];
    expect((await refusal(open({ plugins }))).code).toBe('effects/conflict');
  });

  test('a cycle, showing its path', async () => {
    const plugins = [
      plugin('a', { order: { before: ['b'] } }),
      plugin('b', { order: { before: ['c'] } }),
      plugin('c', { order: { before: ['a'] } }),
    ];
    const error = await refusal(open({ plugins }));
    expect(error.code).toBe('order/cycle');
    expect(error.message).toMatch(/a → b → c → a|b → c → a → b|c → a → b → c/);
  });

  test('an unknown id in an order, with a suggestion', async () => {
    const plugins = [plugin('multi-exit'), plugin('byot', { order: { after: ['multi-exits'] } })];
    const error = await refusal(open({ plugins }));
    expect(error.code).toBe('order/unknown-id');
    expect(error.message).toContain("Did you mean 'multi-exit'?");
  });

  test('a missing requirement', async () => {
    const plugins = [plugin('byot', { order: { requires: ['multi-exit'] } })];
    expect((await refusal(open({ plugins }))).code).toBe('order/missing');
  });

  test('a plugin for another API version', async () => {
    const error = await refusal(open({ plugins: [plugin('future', { apiVersion: 99 })] }));
    expect(error.code).toBe('plugin/api-version');
    expect(error.message).toMatch(/'future'.*99.*1/);
  });

  test('two plugins of one id, and a factory that was not called', async () => {
    expect((await refusal(open({ plugins: [plugin('x'), plugin('x')] }))).code).toBe(
      'plugin/duplicate',
    );
    const factory = definePlugin({
      id: 'x',
      version: '1',
      options: z.strictObject({}),
      apply: () => undefined,
    });
    expect((await refusal(open({ plugins: [factory as never] }))).code).toBe('plugin/not-a-plugin');
  });

  test('a plugin that does not say what it keeps', async () => {
    const error = await refusal(open({ plugins: [plugin('vague', { stateless: false })] }));
    expect(error.code).toBe('plugin/state');
  });

  test('a tap, a term and an assignment without a declared effect', async () => {
    const tapping = plugin('t', { apply: (ctx) => ctx.hooks.gradients.tap((g) => g) });
    const error = await refusal(open({ plugins: [tapping] }));
    expect(error.message).toMatch(/\[plugin t\] apply: .*'gradients'.*\{ gradients: 'add' \}/);

    const scaling = plugin('s', {
      effects: { loss: 'add' },
      apply: (ctx) => ctx.hooks.loss.tap(({ terms }) => terms.scale('task/cross-entropy', 2)),
    });
    await withSession(open({ plugins: [scaling] }), async (session) => {
      const scaled = await refusal(session.fit({ epochs: 1 }));
      expect(scaled.code).toBe('effects/undeclared');
      expect(scaled.place).toEqual({ plugin: 's', hook: 'loss', step: 0 });
    });

    const writing = plugin('w', {
      apply: (ctx) => ctx.hooks.afterApply.tap(() => ctx.assign(ctx.parameters())),
    });
    await withSession(open({ plugins: [writing] }), async (session) => {
      expect((await refusal(session.fit({ epochs: 1 }))).message).toMatch(
        /\[plugin w\] afterApply/,
      );
    });
  });

  test('a model of another copy of tfjs, and what is no model', async () => {
    const foreign = Object.create({ predict: () => undefined }, {});
    expect((await refusal(open({ model: foreign as never }))).code).toBe('session/two-tfjs');
    expect((await refusal(open({ model: 3 as never }))).code).toBe('session/model');
  });

  test('a loss for an output that is not there', async () => {
    const error = await refusal(open({ loss: { logit: crossEntropy() } }));
    expect(error.message).toContain("Did you mean 'logits'?");
  });

  test('an unknown layer in a feature request, with a suggestion', async () => {
    const asking = plugin('asks', { apply: (ctx) => ctx.requestFeatures(['hiden']) });
    expect((await refusal(open({ plugins: [asking] }))).message).toContain(
      "Did you mean 'hidden'?",
    );
  });

  test('and undoes what was applied, in reverse order', async () => {
    const before = liveTensors();
    const undone: string[] = [];
    const good = (id: string) =>
      plugin(id, { apply: (ctx) => ctx.onTeardown(() => void undone.push(id)) });
    const bad = plugin('z-bad', {
      apply: () => {
        throw new Error('boom');
      },
    });
    const error = await refusal(open({ plugins: [good('a'), good('b'), bad] }));
    expect(error.message).toMatch(/^\[plugin z-bad\] apply: boom/);
    expect(undone).toEqual(['b', 'a']);
    expect(liveTensors()).toBe(before);
  });
});

describe('options', () => {
  const strict = definePlugin({
    id: 'strict',
    version: '1.0.0',
    options: z.strictObject({ temperature: z.number().positive().default(3) }),
    apply: () => undefined,
  });

  test('a typo names plugin and option and suggests the right one', () => {
    expect(() => strict({ temprature: 2 } as never)).toThrow(
      /plugin 'strict': unknown option 'temprature'. Did you mean 'temperature'\?/,
    );
  });

  test('a wrong value is shown', () => {
    expect(() => strict({ temperature: -1 })).toThrow(/'temperature'.*received -1/);
  });
});

describe('training refuses', () => {
  const failing = async (more: Partial<SessionConfig>): Promise<EspalierError> =>
    withSession(open({ model: tinyNoisyMlp, ...more }), async (session) => {
      const before = valuesOf(session.parameters());
      const error = await refusal(session.fit({ epochs: 1 }));
      expect(firstDifference(before, valuesOf(session.parameters()))).toBeUndefined();
      expect(session.clock.step).toBe(0);
      return error;
    });

  test('a Promise from a synchronous hook, naming plugin and hook', async () => {
    const lazy = plugin('lazy', {
      effects: { loss: 'add' },
      apply: (ctx) => ctx.hooks.loss.tap((async () => undefined) as never),
    });
    const error = await failing({ plugins: [lazy] });
    expect(error.code).toBe('hooks/promise');
    expect(error.message).toMatch(/^\[plugin lazy\] loss at step 0/);
  });

  test('a waterfall tap that returns nothing', async () => {
    const forgetful = plugin('forgetful', {
      effects: { targets: 'modify' },
      apply: (ctx) => ctx.hooks.targets.tap((() => undefined) as never),
    });
    expect((await failing({ plugins: [forgetful] })).code).toBe('hooks/no-return');
  });

  test('labels of a wrong shape and out of range', async () => {
    const { x } = tinyData({ examples: 4 });
    const labels = (data: Int32Array, shape: number[]) =>
      arraySource({ x, y: { data, shape }, batchSize: 4, shuffle: false });
    const range = await failing({ train: labels(Int32Array.from([0, 1, 3, 2]), [4]) });
    expect(range.code).toBe('targets/range');
    expect(range.message).toMatch(/'logits'.*0 to 2.*Received: 3/);
    const shape = await failing({ train: labels(new Int32Array(8), [4, 2]) });
    expect(shape.code).toBe('targets/shape');
    expect(shape.message).toContain('[batch] (class ids) or [batch, 3]');
  });

  test('inputs of a wrong shape', async () => {
    const { y } = tinyData({ examples: 4 });
    const train = arraySource({
      x: { data: new Float32Array(20), shape: [4, 5] },
      y,
      batchSize: 4,
    });
    const error = await failing({ train });
    expect(error.message).toMatch(/\[4,\s?5\]|4, 5/);
  });

  test('empty sources', async () => {
    const x = { data: new Float32Array(0), shape: [0, 6] };
    const y = { data: new Int32Array(0), shape: [0] };
    expect(() => arraySource({ x, y, batchSize: 2 })).toThrow(/source\/empty/);
    const none = iterableSource(() => [], { fingerprint: 'none' });
    expect((await failing({ train: none })).code).toBe('source/empty');
  });

  test('a dataset instead of a factory', () => {
    const dataset = { iterator: () => Promise.reject(new Error('unused')) };
    expect(() => datasetSource(dataset as never, { fingerprint: 'x' })).toThrow(
      /source\/not-a-factory/,
    );
  });

  test('NaN in the input, saying where', async () => {
    const { x, y } = tinyData({ examples: 4 });
    const data = x.data.slice();
    data[13] = NaN;
    const train = arraySource({ x: { ...x, data }, y, batchSize: 4, shuffle: false });
    const error = await failing({ train });
    expect(error.code).toBe('step/non-finite');
    expect(error.message).toMatch(/NaN in 'hidden_input'|NaN in '.*', example 2 of the batch/);
  });

  test('NaN in one loss term, naming it', async () => {
    const broken = plugin('broken', {
      effects: { loss: 'add' },
      apply: (ctx) => ctx.hooks.loss.tap(({ terms }) => terms.add('oops', tf.scalar(NaN))),
    });
    const error = await failing({ plugins: [broken] });
    expect(error.message).toMatch(/step 0: the loss term 'broken\/oops' is not finite/);
  });

  test('a gradient that is not finite while the loss is, naming the parameter', async () => {
    const steep = plugin('steep', {
      effects: { gradients: 'modify' },
      apply: (ctx) =>
        ctx.hooks.gradients.tap((g) => ({ ...g, 'logits/bias': tf.fill([3], Infinity) })),
    });
    expect((await failing({ plugins: [steep] })).message).toContain(
      "the gradient of 'logits/bias'",
    );
  });

  test.each([
    ['of no parameter', {}, 'logits/bais'],
    ['of a frozen one', { model: () => frozenHidden() }, 'hidden/kernel'],
  ])('a gradient %s, naming plugin and hook', async (_, more, path) => {
    const adds = plugin('adds', {
      effects: { gradients: 'modify' },
      apply: (ctx) => ctx.hooks.gradients.tap((g) => ({ ...g, [path]: tf.zeros([6, 8]) })),
    });
    const error = await failing({ plugins: [adds], ...more });
    expect(error.code).toBe('hooks/bad-return');
    expect(error.message).toMatch(
      new RegExp(
        `\\[plugin adds\\] gradients at step 0: .*'${path}', and no parameter of that path trains`,
      ),
    );
  });

  test.each([NaN, Infinity, -Infinity])('one %d deep inside a gradient', async (value) => {
    const poisoned = plugin('poisoned', {
      effects: { gradients: 'modify' },
      apply: (ctx) =>
        ctx.hooks.gradients.tap((g) => {
          const bad = tf.buffer([6, 8]);
          bad.set(value, 3, 5);
          return { ...g, 'hidden/kernel': tf.add(g['hidden/kernel']!, bad.toTensor()) };
        }),
    });
    for (const backend of backendsUnderTest()) {
      await onBackend(backend);
      const error = await failing({ plugins: [poisoned] });
      expect(error.message).toContain("the gradient of 'hidden/kernel'");
    }
    await onBackend('cpu');
  });

  test('a plugin that disposes a tensor that it does not own, naming it', async () => {
    const greedy = plugin('greedy', {
      effects: { loss: 'add' },
      apply: (ctx) => ctx.hooks.loss.tap(({ outputs }) => outputs['logits']!.dispose()),
    });
    const error = await failing({ plugins: [greedy] });
    expect(error.code).toBe('plugin/disposed');
    expect(error.message).toMatch(/\[plugin greedy\] loss.*'logits'/);
  });

  test('a term that trains a group that is not there', async () => {
    const lost = plugin('lost', {
      effects: { loss: 'add' },
      apply: (ctx) =>
        ctx.hooks.loss.tap(({ terms, outputs }) =>
          terms.add('t', tf.mean(outputs['logits']!), { groups: ['heads'] }),
        ),
    });
    expect((await failing({ plugins: [lost] })).code).toBe('terms/unknown-group');
  });
});

test.each(['beforeStep', 'loss', 'afterApply'] as const)(
  'a parameter that a %s tap disposes is named, and the plugin',
  async (hook) => {
    const greedy = plugin('greedy', {
      effects: { loss: 'add' },
      apply: (ctx) => ctx.hooks[hook].tap(() => ctx.parameters()['hidden/kernel']!.dispose()),
    });
    const session = await open({ plugins: [greedy] });
    const error = await refusal(session.fit({ epochs: 1 }));
    expect(error.code).toBe('plugin/disposed');
    expect(error.message).toMatch(new RegExp(`greedy.*${hook}.*'hidden/kernel'`));
    await session.dispose();
  },
);

test('a checkpoint store that cannot be written to is refused before the first step', async () => {
  const broken = { ...memoryStore(), write: () => Promise.reject(new Error('read-only')) };
  await withSession(open({ checkpoint: { store: broken } }), async (session) => {
    await expect(session.fit({ epochs: 1 })).rejects.toThrow('read-only');
    expect(session.clock.step).toBe(0);
  });
});

describe('a checkpoint of another run is refused, and allowed by name', () => {
  const written = async (more: Partial<SessionConfig> = {}) => {
    const store = memoryStore();
    await withSession(open({ ...more, checkpoint: { store } }), (s) => s.fit({ epochs: 1 }));
    return store;
  };
  const loading = async (more: Partial<SessionConfig>, from: Partial<SessionConfig> = {}) => {
    const store = await written(from);
    return withSession(open({ ...more, checkpoint: { store } }), async (session) => {
      const before = valuesOf(session.parameters());
      const error = await refusal(session.load());
      expect(firstDifference(before, valuesOf(session.parameters()))).toBeUndefined();
      return {
        error,
        session,
        allowMismatch: (name: string) => session.load({ allowMismatch: [name] }),
      };
    });
  };

  test('another preset', async () => {
    const { error } = await loading({ plugins: [plugin('extra')] });
    expect(error.code).toBe('checkpoint/mismatch');
    expect(error.message).toContain("it was written without plugin 'extra'");
    expect(error.message).toContain("allowMismatch: ['plugin:extra']");
    expect((await loading({}, { plugins: [plugin('old')] })).error.message).toContain("'old'");
  });

  test('another option of a plugin', async () => {
    const rated = (rate: number) => ({ ...plugin('rated'), options: { rate } });
    const { error } = await loading({ plugins: [rated(2)] }, { plugins: [rated(1)] });
    expect(error.message).toMatch(/rate/);
  });

  test('another backend', async () => {
    const store = await written();
    await onBackend('wasm');
    const config = { checkpoint: { store } };
    await withSession(open(config), async (session) => {
      const error = await refusal(session.load());
      expect(error.message).toMatch(/its backend was .*cpu.*now it is .*wasm/);
      expect(await session.load({ allowMismatch: ['backend'] })).toBe(true);
    });
    await onBackend('cpu');
  });

  test('other data, another seed, another model', async () => {
    expect((await loading({ train: tinySource({ seed: 9 }) })).error.message).toContain("'data'");
    expect((await loading({ seed: 9 })).error.message).toContain("'seed'");
    const wider = () =>
      tfl.sequential({
        layers: [
          tfl.layers.dense({ name: 'hidden', units: 9, inputShape: [6] }),
          tfl.layers.dense({ name: 'logits', units: 3 }),
        ],
      });
    expect((await loading({ model: wider })).error.message).toContain("'model'");
  });

  test('an empty store loads nothing and says so', async () => {
    await withSession(open({ checkpoint: { store: memoryStore() } }), async (session) => {
      expect(await session.load()).toBe(false);
    });
  });
});
