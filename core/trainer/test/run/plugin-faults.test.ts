import {
  arraySource,
  createToken,
  fromTfOptimizer,
  HOOKS,
  keepOutputs,
  SOFT_TARGETS,
} from '@espalier/core';
import type { Batch, HookName, PluginContext, SessionConfig } from '@espalier/core';
import {
  liveTensors,
  onBackend,
  tinyData,
  tinyMlp,
  tinyNoisyMlp,
  tinySource,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { changing, open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const hooks = Object.keys(HOOKS) as HookName[];
const hands = (hook: HookName) => HOOKS[hook].kind.endsWith('waterfall');

/** A plugin whose tap goes wrong when it is called first, and is sound after that. */
function faulty(hook: HookName, fault: (argument: never, ctx: PluginContext) => unknown) {
  return plugin('faulty', {
    apply(ctx) {
      let first = true;
      ctx.hooks[hook].tap(((argument: unknown) => {
        if (!first) return hands(hook) ? argument : undefined;
        first = false;
        return fault(argument as never, ctx);
      }) as never);
    },
  });
}

/** What the fault leads to; afterwards no tensor is left and the session goes on. */
async function consequence(
  hook: HookName,
  fault: (argument: never, ctx: PluginContext) => unknown,
  more: Partial<SessionConfig> = {},
) {
  const plugins = [changing(), faulty(hook, fault)];
  const validation = tinySource({ seed: 1 });
  const config = { model: tinyNoisyMlp, accumulate: 2, validation, plugins, ...more };
  return withSession(open(config), async (session) => {
    const train = async (epochs: number) => {
      await session.fit({ untilEpoch: epochs });
      await session.transform();
    };
    const before = liveTensors();
    const error = await refusal(() => train(1));
    expect(liveTensors()).toBe(before);
    await train(2);
    expect(session.clock.epoch).toBe(2);
    return error;
  });
}

describe.each(hooks)('a tap of %s that', (hook) => {
  test('throws is named, leaves no tensor, and the session goes on', async () => {
    const error = await consequence(hook, () => {
      throw new Error('boom');
    });
    expect(error.message).toMatch(new RegExp(`^\\[plugin faulty\\] ${hook} at step \\d: boom`));
  });

  test('rejects is named and never becomes an unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    const error = await consequence(hook, () => Promise.reject(new Error('boom')));
    process.off('unhandledRejection', note);
    const expected = HOOKS[hook].kind.startsWith('sync') ? 'hooks/promise' : 'plugin/threw';
    expect(error.code).toBe(expected);
    expect(unhandled).toEqual([]);
  });
});

describe('what a tap hands on is checked:', () => {
  const bad = async (hook: HookName, fault: (argument: never, ctx: PluginContext) => unknown) => {
    const error = await consequence(hook, (argument, ctx) =>
      tf.tidy(() => fault(argument, ctx) as never),
    );
    expect(error.place).toMatchObject({ plugin: 'faulty', hook });
    return error;
  };
  const dead = (like: Tensor) => {
    const copy = tf.clone(like);
    copy.dispose();
    return copy;
  };

  test.each(hooks.filter(hands))('%s, nothing of its kind', async (hook) => {
    for (const value of [undefined, null, 3]) {
      expect((await bad(hook, () => value)).code).toBe('hooks/no-return');
    }
  });

  test.each([
    ['batch', () => ({}), /'hidden_input' is missing/],
    ['batch', (b: Batch) => ({ ...b, targets: {} }), /'logits' is missing/],
    ['batch', (b: Batch) => ({ ...b, size: 2 }), /'hidden_input' must hold 2 examples/],
    ['batch', (b: Batch) => ({ ...b, key: 'mine' }), /must keep its key/],
    ['targets', () => ({}), /'logits' is missing/],
    ['targets', () => ({ logits: 3 }), /'logits' is no tensor/],
    ['targets', () => ({ logits: tf.zeros([2, 3]) }), /must hold 6 examples.*float32 tensor/],
    ['targets', (t: Record<string, Tensor>) => ({ logits: dead(t['logits']!) }), /is disposed/],
    ['gradients', () => ({ 'logits/bias': tf.zeros([1]) }), /float32 tensor of shape \[3\]/],
    ['gradients', () => ({ 'logits/bias': tf.zeros([3], 'int32') }), /int32 tensor/],
    [
      'gradients',
      (_: unknown, ctx: PluginContext) => ({ 'logits/bias': ctx.parameters()['logits/bias'] }),
      /live variable/,
    ],
  ] as const)('%s, %s', async (hook, fault, message) => {
    const error = await bad(hook, fault as never);
    expect(error.code).toBe('hooks/bad-return');
    expect(error.message).toMatch(message);
  });

  test.each([
    ['a vector', () => tf.zeros([2]), 'float32 tensor of shape [2]'],
    ['an int32 scalar', () => tf.scalar(1, 'int32'), 'an int32 tensor'],
    ['a disposed scalar', () => dead(tf.scalar(1)), 'disposed float32 tensor'],
    ['a number', () => 1, 'Received: 1'],
  ])('a loss term, %s', async (_name, term, received) => {
    const error = await consequence('loss', (({ terms }: { terms: { add: unknown } }) =>
      (terms.add as (name: string, value: unknown) => void)('t', tf.tidy(term as never))) as never);
    expect(error.code).toBe('terms/not-a-scalar');
    expect(error.message.replace('an int32', 'a int32').replace('an int32', 'a int32')).toContain(
      received.replace('an int32', 'a int32'),
    );
  });

  test('a mean over examples of something else', async () => {
    const error = await consequence(
      'loss',
      (({ mean, outputs }: never) =>
        void (mean as (v: Tensor) => void)(outputs['logits'])) as never,
    );
    expect(error.code).toBe('terms/per-example');
  });

  test('a tensor of the window that a tap disposed', async () => {
    const error = await consequence('afterStep', (({
      microBatches,
    }: {
      microBatches: readonly Batch[];
    }) => microBatches[1]!.targets['logits']!.dispose()) as never);
    expect(error.code).toBe('plugin/disposed');
    expect(error.message).toContain("'logits'");
  });
});

test('a plugin cannot remove loss terms', async () => {
  const clearing = plugin('clearing', {
    apply: (ctx) => ctx.hooks.loss.tap(({ terms }) => void ((terms.all as unknown[]).length = 0)),
  });
  await withSession(open({ plugins: [clearing] }), async (session) => {
    const { history } = await session.fit({ epochs: 1 });
    expect(history[0]!.metrics['loss/task/cross-entropy']).toBeGreaterThan(0);
  });
});

test('a plugin cannot change a term of another in what it reads', async () => {
  const weights: number[] = [];
  const writing = plugin('writing', {
    apply: (ctx) =>
      ctx.hooks.loss.tap(({ terms }) => {
        Object.assign(terms.all[0]!, { weight: 0 });
        weights.push(terms.all[0]!.weight);
      }),
  });
  await withSession(open({ plugins: [writing] }), (session) => session.fit({ epochs: 1 }));
  expect(new Set(weights)).toEqual(new Set([1]));
});

test.each([
  [{ trains: ['head'] }, "unknown option 'trains'"],
  [{ weigth: 0 }, "Did you mean 'weight'?"],
  [null, 'must be an object'],
])('a loss term with the options %j is refused', async (options, text) => {
  const adding = plugin('adding', {
    apply: (ctx) =>
      ctx.hooks.loss.tap(({ terms }) => terms.add('extra', tf.scalar(1), options as never)),
  });
  await withSession(open({ plugins: [adding] }), async (session) => {
    const error = await refusal(() => session.fit({ epochs: 1 }));
    expect(error.code).toBe('terms/options');
    expect(error.message).toMatch(/^\[plugin adding\] loss at step 0: .*'adding\/extra'/);
    expect(error.message).toContain(text);
  });
});

test('weights that a batch tap sets are summed by the trainer', async () => {
  const data = tinyData({ examples: 4 });
  const weights = Float32Array.from([1, 0, 0, 0]);
  const masking = plugin('masking', {
    apply: (ctx) => ctx.hooks.batch.tap((batch) => ({ ...batch, weights: tf.tensor1d(weights) })),
  });
  const loss = async (more: Partial<SessionConfig>, own?: Float32Array) => {
    const train = arraySource({
      ...data,
      batchSize: 4,
      shuffle: false,
      ...(own && { weights: own }),
    });
    return withSession(open({ train, ...more }), async (session) => {
      const { history } = await session.fit({ epochs: 1 });
      return history[0]!.metrics['loss'];
    });
  };
  expect(await loss({ plugins: [masking] })).toBe(await loss({}, weights));
});

test('a metric given for some batches is averaged over those', async () => {
  const once = plugin('once', {
    apply(ctx) {
      let first = true;
      ctx.hooks.evaluate.tap(({ metric, batch }) => {
        if (first) metric('once', tf.ones([batch.size], 'bool') as never);
        first = false;
      });
    },
  });
  await withSession(open({ plugins: [once] }), async (session) => {
    expect((await session.evaluate(tinySource()))['once']).toBe(1);
  });
});

describe('during apply only:', () => {
  test.each([
    ['hooks.loss.tap', (ctx: PluginContext) => ctx.hooks.loss.tap(() => undefined)],
    [
      'keepState',
      (ctx: PluginContext) =>
        ctx.keepState({ version: 1, save: () => ({}), load: () => undefined }),
    ],
    ['provide', (ctx: PluginContext) => ctx.provide(createToken('x'), () => 1)],
    ['group', (ctx: PluginContext) => ctx.group('g', () => true)],
    ['requestFeatures', (ctx: PluginContext) => ctx.requestFeatures(['hidden'])],
    [
      'addNetwork',
      (ctx: PluginContext) =>
        (ctx as never as { addNetwork(m: unknown): void }).addNetwork(tinyMlp),
    ],
  ])('%s', async (name, act) => {
    const error = await consequence('beforeStep', (_, ctx) => act(ctx));
    expect(error.code).toBe('plugin/too-late');
    expect(error.message).toMatch(
      new RegExp(`^\\[plugin faulty\\] beforeStep at step 0: ctx\\.${name} `),
    );
  });
});

test('order holds through a plugin that does not tap the hook', async () => {
  const seen: string[] = [];
  const noting = (id: string, before: string[] = []) =>
    plugin(id, {
      order: { before },
      apply: (ctx) => ctx.hooks.epochStart.tap(() => void seen.push(id)),
    });
  const plugins = [noting('z', ['m']), plugin('m', { order: { before: ['a'] } }), noting('a')];
  await withSession(open({ plugins }), (session) => session.fit({ epochs: 1 }));
  expect(seen).toEqual(['z', 'a']);
});

describe('setup', () => {
  test('misses a service that a plugin needs, before any step', async () => {
    const needy = plugin('needy', { apply: (ctx) => ctx.needs(SOFT_TARGETS) });
    const error = await refusal(() => open({ plugins: [needy] }));
    expect(error.code).toBe('services/missing');
    expect(error.message).toMatch(/^\[plugin needy\] apply: .*'soft-targets'/);
    const giving = plugin('giving', {
      apply: (ctx) => ctx.provide(SOFT_TARGETS, () => ({ name: 'none', logits: () => ({}) })),
    });
    await (await open({ plugins: [needy, giving] })).dispose();
  });

  test('shows the error that ended it, not that of a teardown', async () => {
    const plugins = [
      plugin('a', {
        apply: (ctx) =>
          ctx.onTeardown(() => {
            throw new Error('teardown');
          }),
      }),
      plugin('b', {
        apply: () => {
          throw new Error('first');
        },
      }),
    ];
    expect((await refusal(() => open({ plugins }))).message).toMatch(/^\[plugin b\] apply: first/);
  });

  test('that fails leaves the optimizer of a session that trains alone', async () => {
    const failing = plugin('failing', { apply: () => Promise.reject(new Error('no')) });
    const train = async (between: (optimizer: SessionConfig['optimizer']) => unknown) => {
      const optimizer = fromTfOptimizer(() => tf.train.adam(0.1));
      return withSession(open({ optimizer }), async (session) => {
        await session.fit({ epochs: 1 });
        await between(optimizer);
        return (await session.fit({ epochs: 1 })).history;
      });
    };
    const undisturbed = await train(() => undefined);
    const disturbed = await train((optimizer) =>
      refusal(() => open({ optimizer, plugins: [failing] })),
    );
    expect(disturbed).toEqual(undisturbed);
  });

  test('refuses a misspelt mode and a misspelt order', async () => {
    const wrong = (sketch: object) => refusal(() => open({ plugins: [plugin('p', sketch)] }));
    expect((await wrong({ effects: { loss: 'addd' } })).message).toMatch(
      /'p'.*effects\.loss.*"addd"/,
    );
    expect((await wrong({ order: { befor: [] } })).message).toContain("Did you mean 'before'?");
    const task = await refusal(() => open({ plugins: [plugin('task')] }));
    expect(task.message).toContain("option 'id'");
  });

  test('refuses two networks of one plugin whose parameters have the same path', async () => {
    const before = liveTensors();
    const twice = plugin('twice', {
      apply(ctx) {
        const { addNetwork } = ctx as never as { addNetwork(make: () => tfl.LayersModel): void };
        addNetwork(tinyMlp);
        addNetwork(tinyMlp);
      },
    });
    const error = await refusal(() => open({ plugins: [twice] }));
    expect(error.message).toContain("'twice:hidden/kernel'");
    expect(liveTensors()).toBe(before);
  });

  test('warnings of apply wait for a listener', async () => {
    const warning = plugin('warning', { apply: (ctx) => ctx.warn('careful') });
    await withSession(open({ plugins: [warning] }), async (session) => {
      const heard: unknown[] = [];
      session.telemetry.on('warning', (event) => heard.push(event));
      session.telemetry.on('warning', (event) => heard.push(event));
      expect(heard).toEqual([{ message: 'careful', plugin: 'warning' }]);
    });
  });
});

test('an edit cannot lose an output that has a loss', async () => {
  const cutting = plugin('cutting', {
    apply: (ctx) =>
      ctx.hooks.transform.tap(() =>
        (ctx as never as { edit(change: unknown): void }).edit((graph: never) =>
          keepOutputs({ ...(graph as object), topology: shortened(graph) } as never, ['hidden']),
        ),
      ),
  });
  await withSession(open({ plugins: [cutting] }), async (session) => {
    expect((await refusal(() => session.transform())).code).toBe('model/lost-layer');
    expect((await session.fit({ epochs: 1 })).status).toBe('completed');
  });
});

function shortened({ topology }: { topology: { config: object } }) {
  return { ...topology, config: { ...topology.config, outputLayers: [['hidden', 0, 0]] } };
}

test('an objective that evaluates itself is stopped, and leaves nothing', async () => {
  const endless = plugin('endless', {
    apply: (ctx) => ctx.hooks.loss.tap(({ batch }) => void ctx.objective(batch)),
  });
  await withSession(open({ plugins: [endless] }), async (session) => {
    const before = liveTensors();
    const { code, message } = await refusal(() => session.fit({ epochs: 1 }));
    expect(code).toBe('objective/endless');
    expect(message).toContain('[plugin endless] loss');
    expect(liveTensors()).toBe(before);
  });
});
