import { createToken, definePlugin, sgd, stopGradient } from '@espalier/core';
import type { Batch, NamedTensors, NetworkCall, PluginContext, Session } from '@espalier/core';
import {
  backendsUnderTest,
  onBackend,
  tensorsLeakedBy,
  tinyData,
  tinyNoisyMlp,
  tinySource,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { open, plugin } from './sessions.js';

const UNITS = createToken<number>('units');

/** Pulls the logits towards what a network of its own makes of the hidden layer. */
const guide = definePlugin({
  id: 'guide',
  version: '1.0.0',
  options: z.strictObject({ detach: z.boolean().default(true) }),
  effects: { loss: 'add', 'structure:guide': 'add' },
  stateless: true,
  apply(ctx, { detach }) {
    const network = ctx.addNetwork(() => {
      ctx.requestFeatures(['norm']);
      const units = ctx.get(UNITS);
      return sequential({
        layers: [
          layers.dense({ name: 'guided', units, inputShape: [8], kernelInitializer: 'ones' }),
          layers.batchNormalization({ name: 'norm' }),
        ],
      });
    });
    ctx.hooks.loss.tap(({ features, outputs, terms, mean }) => {
      const inputs = { guided_input: stopGradient(features['norm']!) };
      const { norm } = network.execute(inputs, { detach });
      const gap = tf.sum(tf.square(tf.sub(outputs['logits']!, norm!)), 1) as Tensor1D;
      terms.add('gap', mean(gap));
    });
  },
});

const units = plugin('units', { apply: (ctx) => ctx.provide(UNITS, () => 3) });
const guided = (detach = true) =>
  open({ model: tinyNoisyMlp, plugins: [guide({ detach }), units], seed: 2 });

function batchOf(session: Session): Promise<Batch> {
  const { x, y } = tinyData({ examples: 4 });
  return session.batch({ x: tf.tensor(x.data, [4, 6]), y: tf.tensor(y.data, [4], 'int32') }, 'b');
}

const own = (gradients: NamedTensors) =>
  Object.keys(gradients).filter((path) => path.startsWith('guide:'));
const numbers = (tensor: tf.Tensor) => Array.from(tensor.dataSync());

describe.each(backendsUnderTest())('a plugin’s own network on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('is made when services are there, and trains unless it is detached', async () => {
    for (const detach of [true, false]) {
      await withSession(guided(detach), async (session) => {
        const { gradients } = session.gradients(await batchOf(session));
        const size = own(gradients).reduce(
          (sum, path) => sum + numbers(tf.sum(tf.abs(gradients[path]!)))[0]!,
          0,
        );
        if (detach) expect(size).toBe(0);
        else expect(size).toBeGreaterThan(0.01);
      });
    }
  });

  test('another may stand in for it, and the loss is differentiated by what that gives', () =>
    withSession(guided(), async (session) => {
      const batch = await batchOf(session);
      const calls: NetworkCall[] = [];
      const instead = (norm: tf.Tensor) =>
        session.objective(batch, {
          networks: (call) => {
            calls.push(call);
            return { norm };
          },
          terms: ({ owner }) => owner === 'guide',
        });
      const at = tf.zeros([4, 3]);
      const gradient = tf.grad(instead)(at);
      expect(calls.map((call) => call.plugin)).toEqual(['guide']);
      expect(calls[0]!.parameters).toContain('guide:guided/kernel');
      // d mean(Σ(logits − z)²)/dz = −2(logits − z)/batch
      const logits = tf.mul(gradient, -2);
      expect(numbers(tf.mean(tf.sum(tf.square(logits), 1)))[0]).toBeCloseTo(
        numbers(instead(at))[0]!,
        4,
      );
    }));

  test('a call can be run as the evaluation runs it, and at other parameters', () =>
    withSession(guided(), async (session) => {
      const batch = await batchOf(session);
      const options = { terms: ({ owner }: { owner: string }) => owner === 'guide' };
      const plain = numbers(session.objective(batch, options));
      const through = (params: NamedTensors) =>
        session.objective(batch, {
          ...options,
          networks: ({ run, inputs }) => run(inputs, params),
        });
      expect(numbers(through({}))).toEqual(plain);

      const path = 'guide:norm/beta';
      const beta = tf.tensor1d([0.1, 0.2, 0.3]);
      expect(numbers(through({ [path]: beta }))).not.toEqual(plain);
      const f = (x: tf.Tensor) => through({ [path]: x }) as Scalar;
      const [gradient] = [numbers(tf.grad(f)(beta))];
      const step = 1e-2;
      [0, 1, 2].forEach((i) => {
        const moved = (sign: number) => {
          const values = numbers(beta);
          values[i]! += sign * step;
          return numbers(f(tf.tensor1d(values)))[0]!;
        };
        expect(gradient![i]).toBeCloseTo((moved(1) - moved(-1)) / (2 * step), 2);
      });
      expect(await tensorsLeakedBy(() => through({}).dispose())).toBe(0);
    }));
});

describe('the next batch', () => {
  beforeAll(() => onBackend('cpu'));

  /** The inputs' first numbers of each step's window and of the batch after it. */
  async function seen(accumulate: number, lookAhead = true) {
    const steps: { window: number[]; next: number | undefined; keys: unknown[] }[] = [];
    const first = ({ inputs }: Batch) => numbers(Object.values(inputs)[0]!)[0]!;
    const watcher = plugin('watcher', {
      apply(ctx) {
        if (lookAhead) ctx.lookAhead();
        ctx.hooks.beforeStep.tap(({ microBatches: window, next }) => {
          const keys = [...window, ...(next ? [next] : [])].map(({ key }) => key);
          steps.push({ window: window.map(first), next: next && first(next), keys });
        });
      },
    });
    const session = open({ plugins: [watcher], accumulate, train: tinySource({ batchSize: 6 }) });
    await withSession(session, async (running) => {
      expect(await tensorsLeakedBy(() => running.fit({ epochs: 2 }))).toBe(0);
      const { x, y } = { x: tf.ones([6, 6]), y: tf.zeros([6], 'int32') };
      await running.step({ x, y });
    });
    return steps;
  }

  test('is the first of the next step’s, under the key that it will have; none ends an epoch', async () => {
    const steps = await seen(1);
    const epochs = steps.slice(-9, -1);
    expect(epochs).toHaveLength(8);
    epochs.forEach(({ next, keys }, i) => {
      if (i % 4 === 3) {
        expect(next).toBeUndefined();
        return;
      }
      expect(next).toBe(epochs[i + 1]!.window[0]);
      expect(keys[1]).toBe(epochs[i + 1]!.keys[0]);
    });
    expect(steps.at(-1)!.next).toBeUndefined();
  });

  test('with accumulation comes after the window', async () => {
    const epoch = (await seen(3)).slice(-5, -1);
    expect(epoch.map(({ window }) => window.length)).toEqual([3, 1, 3, 1]);
    expect(epoch[0]!.next).toBe(epoch[1]!.window[0]);
    expect(epoch[1]!.next).toBeUndefined();
  });

  test('is not taken where nobody asks', async () => {
    const steps = await seen(1, false);
    expect(steps.every(({ next }) => next === undefined)).toBe(true);
  });
});

test('the parameters that train can be told from moving statistics', () =>
  withSession(open({ model: tinyNoisyMlp, optimizer: sgd({ learningRate: 0.1 }) }), (session) => {
    const paths = (which?: { trainable: boolean }) => Object.keys(session.parameters(which));
    expect(paths()).toContain('norm/moving_mean');
    expect(paths({ trainable: true })).toEqual(paths().filter((path) => !path.includes('moving')));
    return Promise.resolve();
  }));

describe('while its network is made, a plugin may not', () => {
  const late = createToken<number>('late');
  const network = () =>
    sequential({ layers: [layers.dense({ name: 'own', units: 1, inputShape: [1] })] });

  test.each<[string, (ctx: PluginContext) => void, string]>([
    ['tap a hook', (ctx) => ctx.hooks.afterStep.tap(() => undefined), 'plugin/too-late'],
    ['provide a service', (ctx) => ctx.provide(late, () => 1), 'plugin/too-late'],
    ['need a service', (ctx) => ctx.needs(late), 'plugin/too-late'],
    ['edit the model', (ctx) => asEditor(ctx).edit((graph) => graph), 'plugin/edit-phase'],
  ])('%s, which would do nothing', async (_, act, code) => {
    const making = plugin('making', {
      apply: (ctx) =>
        void asEditor(ctx).addNetwork(() => {
          act(ctx);
          return network();
        }),
    });
    await expect(open({ plugins: [making] })).rejects.toMatchObject({
      code,
      place: { plugin: 'making', hook: 'apply' },
    });
  });
});

const asEditor = (ctx: PluginContext) => ctx as PluginContext<{ structure: 'add' }>;
