import { adam, chain, memoryStore, sgd, tfjs } from '@espalier/core';
import type { GradientTransform } from '@espalier/core';
import { emaParams, ema } from '@espalier/optim';
import {
  firstDifference,
  onBackend,
  trainedValues,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

/** Halves the updates from the start; powers of two scale without rounding. */
const halving = (factor = 0.5, id = 'halving') =>
  plugin(id, {
    effects: { updates: 'modify' },
    apply: (ctx) => ctx.hooks.epochStart.tap(() => ctx.scaleUpdates(factor)),
  });

const train = (optimizer: GradientTransform, plugins = [halving()]) =>
  withSession(open({ optimizer, plugins }), (session) => trainedValues(session, 2));

describe('ctx.scaleUpdates', () => {
  it.each<[string, (learningRate: number) => GradientTransform]>([
    ['sgd with momentum', (learningRate) => sgd({ learningRate, momentum: 0.9 })],
    ['adam', (learningRate) => adam({ learningRate })],
    ['adagrad of tfjs', (learningRate) => tfjs.adagrad({ learningRate })],
  ])('is another learning rate: %s', async (_, optimizer) => {
    const [scaled, slower] = [await train(optimizer(0.25)), await train(optimizer(0.125), [])];
    expect(firstDifference(scaled, slower)).toBeUndefined();
  });

  it('multiplies the factors of all plugins, and changes no bit at 1', async () => {
    const two = [halving(0.5), halving(0.5, 'again')];
    const [both, quarter] = [
      await train(sgd({ learningRate: 1 }), two),
      await train(sgd({ learningRate: 0.25 }), []),
    ];
    expect(firstDifference(both, quarter)).toBeUndefined();
    const [one, none] = [
      await train(sgd({ learningRate: 0.1 }), [halving(1)]),
      await train(sgd({ learningRate: 0.1 }), []),
    ];
    expect(firstDifference(one, none)).toBeUndefined();
  });

  it('is known to an average of the parameters at the end of the optimizer', async () => {
    let average: ReturnType<typeof valuesOf> | undefined;
    const optimizer = chain(sgd({ learningRate: 0.25 }), ema(0));
    const update: GradientTransform['update'] = (...given) => {
      const result = optimizer.update(...given);
      average = valuesOf(emaParams(result.state));
      return result;
    };
    const live = await train({ ...optimizer, update });
    expect(firstDifference(average!, live)).toBeUndefined();
  });

  it('is shown by inspect and explain', () =>
    withSession(open({ plugins: [halving()] }), async (session) => {
      expect(session.inspect().updateScales).toEqual({});
      await session.fit({ epochs: 1 });
      expect(session.inspect().updateScales).toEqual({ halving: 0.5 });
      expect(session.explain()).toMatch(/updates of the optimizer: halving × 0\.5$/);
    }));

  it.each([0, -1, NaN, Infinity])('refuses %s', (factor) =>
    withSession(open({ plugins: [halving(factor)] }), async (session) => {
      const { code, place } = await refusal(() => session.fit({ epochs: 1 }));
      expect({ code, plugin: place?.plugin }).toEqual({
        code: 'plugin/update-scale',
        plugin: 'halving',
      });
    }),
  );

  it('needs the effect updates', () =>
    withSession(
      open({
        plugins: [
          plugin('undeclared', {
            apply: (ctx) => ctx.hooks.epochStart.tap(() => ctx.scaleUpdates(0.5)),
          }),
        ],
      }),
      async (session) => {
        const { message } = await refusal(() => session.fit({ epochs: 1 }));
        expect(message).toMatch(/may not scale 'updates'.*'updates': 'modify'/s);
      },
    ));
});

describe('weights that a plugin sets when a fit is over', () => {
  const zeroing = plugin('zeroing', {
    effects: { 'weights:*': 'modify' },
    apply: (ctx) =>
      ctx.hooks.finish.tap(() => {
        const zeros = Object.entries(ctx.parameters()).map(
          ([path, value]) => [path, tf.zerosLike(value)] as const,
        );
        ctx.assign(Object.fromEntries(zeros));
        tf.dispose(zeros.map(([, zero]) => zero));
      }),
  });

  it('are in the newest checkpoint of a run that came to its end, and not of one that was ended early', async () => {
    for (const aborts of [false, true]) {
      const [store, stop] = [memoryStore(), new AbortController()];
      const config = { plugins: [zeroing], checkpoint: { store }, logInterval: 1 };
      await withSession(open(config), async (session) => {
        if (aborts) session.telemetry.on('step', () => stop.abort());
        await session.fit({ epochs: 1, signal: stop.signal });
      });
      const loaded = await withSession(open(config), async (session) => {
        await session.load();
        return valuesOf(session.parameters());
      });
      expect([...loaded.values()].every((values) => values.every((v) => v === 0))).toBe(!aborts);
    }
  });
});
