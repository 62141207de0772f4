import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { definePlugin, keyedStream } from '@espalier/core';
import type { Batch, Effects, PluginContext, PluginFactory } from '@espalier/core';
import { CHECKS, ConformanceError, onBackend, testPlugin } from '@espalier/testkit';
import type { Subject } from '@espalier/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';

beforeAll(() => onBackend('cpu'));

interface Sketch {
  readonly options?: z.ZodType;
  readonly effects?: Effects;
  readonly stateless?: boolean;
  readonly apply?: (ctx: PluginContext, options: never) => void;
}

const factory = (sketch: Sketch = {}): PluginFactory =>
  definePlugin({
    id: 'subject',
    version: '1.0.0',
    options: z.strictObject({}),
    stateless: true,
    apply: () => undefined,
    ...sketch,
  } as never) as unknown as PluginFactory;

const subject = (sketch: Sketch): Subject => ({ name: 'case', factory: factory(sketch) });

/** Plugins that keep every promise. */
testPlugin(factory());
testPlugin(
  factory({
    effects: { loss: 'add' },
    apply(ctx) {
      ctx.hooks.loss.tap(({ outputs, ledger, mean }) => {
        const noise = Float32Array.from({ length: 3 }, ctx.random('noise'));
        const noisy = tf.add(outputs['logits']!, tf.tensor1d(noise));
        ledger.add('size', mean(tf.sum(tf.square(noisy), -1) as tf.Tensor1D), { weight: 0.01 });
      });
    },
  }),
);
testPlugin(
  factory({
    stateless: false,
    effects: { 'loss:task/cross-entropy': 'transform' },
    apply(ctx) {
      let seen = 0;
      ctx.hooks.afterApply.tap(({ window }) => void (seen += window.length));
      ctx.hooks.loss.tap(({ ledger }) => ledger.scale('task/cross-entropy', 1 / (1 + seen)));
      ctx.keepState({
        version: 1,
        save: () => ({ json: seen }),
        load: ({ json }) => void (seen = json as number),
      });
    },
  }),
);

/** One broken plugin for every promise; the check must catch it, and only a real fault. */
const BROKEN: Record<string, Record<string, Sketch>> = {
  options: {
    'unknown options are swallowed': { options: z.object({}) },
    'defaults change from parse to parse': {
      options: z.strictObject({
        n: z
          .number()
          .default(1)
          .transform((n) => n + 1),
      }),
    },
  },
  'declared effects': {
    'weights change in secret': {
      apply(ctx) {
        ctx.hooks.afterApply.tap(() => {
          const bias = ctx.parameters()['logits/bias'] as tf.Variable;
          tf.tidy(() => bias.assign(tf.add(bias, 1)));
        });
      },
    },
    'a foreign tensor is disposed': {
      apply(ctx) {
        ctx.hooks.afterStep.tap(({ window }) => Object.values(window[0]!.inputs)[0]!.dispose());
      },
    },
    'Math.random is drawn from': {
      apply: (ctx) => ctx.hooks.beforeStep.tap(() => void Math.random()),
    },
  },
  determinism: {
    'a counter outlives the run': (() => {
      let steps = 0;
      return {
        effects: { loss: 'add' },
        apply(ctx) {
          ctx.hooks.loss.tap(({ ledger, outputs }) =>
            ledger.add('t', tf.mul(tf.mean(outputs['logits']!), 0.01 * steps++)),
          );
        },
      } satisfies Sketch;
    })(),
  },
  replay: {
    'evaluations count': {
      effects: { loss: 'add' },
      apply(ctx) {
        let evaluations = 0;
        ctx.hooks.loss.tap(({ ledger, outputs }) =>
          ledger.add('t', tf.mul(tf.mean(outputs['logits']!), 0.01 * evaluations++)),
        );
      },
    },
    'an evaluation leaves a tensor': {
      effects: { loss: 'add' },
      apply(ctx) {
        ctx.hooks.loss.tap(({ outputs }) => void tf.keep(tf.clone(outputs['logits']!)));
      },
    },
  },
  resume: {
    'something is remembered and not kept': {
      effects: { loss: 'add' },
      apply(ctx) {
        let steps = 0;
        ctx.hooks.afterApply.tap(() => void (steps += 1));
        ctx.hooks.loss.tap(({ ledger, outputs }) =>
          ledger.add('t', tf.mul(tf.mean(outputs['logits']!), 0.1 * steps)),
        );
      },
    },
  },
  leaks: {
    'each step keeps a tensor': {
      apply: (ctx) => ctx.hooks.afterStep.tap(() => void tf.scalar(1)),
    },
    'a tensor outlives the run': { apply: () => void tf.keep(tf.scalar(1)) },
    'a patch outlives the run': {
      apply: () => {
        const { call } = tfl.layers.Layer.prototype;
        tfl.layers.Layer.prototype.call = function (...args) {
          return call.apply(this, args);
        };
      },
    },
  },
  attribution: {
    'errors are swallowed': {
      effects: { batch: 'transform' },
      apply(ctx) {
        ctx.hooks.beforeStep.tap(({ window }) => {
          try {
            void (window as readonly Batch[]).length;
          } catch {
            // The fault that the check plants.
          }
        });
        ctx.hooks.afterStep.tap((step) => {
          try {
            void step.window;
          } catch {
            // The fault that the check plants.
          }
        });
      },
    },
  },
  pairing: {
    'two of it break each other': (() => {
      let running = 0;
      return {
        apply(ctx) {
          ctx.hooks.epochStart.tap(() => {
            running += 1;
            if (running > 1) throw new Error('only one at a time');
          });
          ctx.hooks.epochEnd.tap(() => void (running -= 1));
          ctx.onTeardown(() => void (running = 0));
        },
      } satisfies Sketch;
    })(),
  },
};

describe.each(Object.keys(CHECKS))('the check of %s', (check) => {
  test.each(Object.keys(BROKEN[check]!))('finds that %s', async (fault) => {
    const { call } = tfl.layers.Layer.prototype;
    const run = CHECKS[check]!(subject(BROKEN[check]![fault]!));
    await expect(run).rejects.toBeInstanceOf(ConformanceError);
    tfl.layers.Layer.prototype.call = call;
  });

  test('passes a plugin that does nothing', () => CHECKS[check]!(subject({})));
});

test('keyed streams depend on their key alone', () => {
  const draws = (...key: (string | number)[]) => Array.from({ length: 4 }, keyedStream(...key));
  expect(draws(0, 'a')).toEqual(draws(0, 'a'));
  expect(draws(0, 'a')).not.toEqual(draws(0, 'b'));
  expect(draws('1', 2)).not.toEqual(draws(1, '2'));
});
