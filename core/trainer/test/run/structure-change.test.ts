import { followPaths, memoryStore } from '@espalier/core';
import type { PluginContext, StructureChange } from '@espalier/core';
import { liveTensors, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { changing, open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const observing = (id: string, seen: (change: StructureChange, ctx: PluginContext) => void) =>
  plugin(id, {
    effects: {},
    apply: (ctx) => ctx.hooks.structureChange.tap((change) => seen(change, ctx)),
  });

const WHOLE = { reshaped: [], frozen: [], unfrozen: [] };
const exchanged = (from: number, to: number) => ({
  ...WHOLE,
  added: [`spare_${to}/kernel`, `spare_${to}/bias`],
  dropped: [`spare_${from}/kernel`, `spare_${from}/bias`],
});

describe('structureChange', () => {
  test('tells paths after a transform, to a plugin that declares nothing', async () => {
    const seen: unknown[] = [];
    const watcher = observing('watcher', ({ clock, ...change }, ctx) => {
      seen.push(change, clock.step);
      expect(Object.keys(ctx.parameters())).toEqual(expect.arrayContaining([...change.added]));
    });
    await withSession(open({ plugins: [changing(), watcher] }), async (session) => {
      await session.fit({ epochs: 1 });
      expect(seen).toEqual([]);
      await session.transform();
      await session.transform();
      expect(seen).toEqual([exchanged(0, 1), 4, exchanged(1, 2), 4]);
    });
  });

  test('says nothing where a transform changes nothing', async () => {
    const seen: unknown[] = [];
    const idle = plugin('idle', { apply: (ctx) => ctx.hooks.transform.tap(() => undefined) });
    const watcher = observing('watcher', (change) => void seen.push(change));
    await withSession(open({ plugins: [idle, watcher] }), (session) => session.transform());
    expect(seen).toEqual([]);
  });

  test('tells of a load that rebuilt the model before states are loaded, at its clock', async () => {
    const store = memoryStore();
    await withSession(open({ plugins: [changing(), recorder([])] }), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform();
      await session.save(store);
    });
    const seen: unknown[] = [];
    await withSession(open({ plugins: [changing(), recorder(seen)] }), async (session) => {
      await session.load({ store });
      expect(seen).toEqual([{ ...exchanged(0, 1), step: 4 }, 'load']);
      await session.load({ store });
      expect(seen.slice(2)).toEqual(['load']);
    });
  });

  test('tells what a failed transform had changed, and its error stays the one to see', async () => {
    const seen: unknown[] = [];
    const failing = plugin('failing', {
      apply: (ctx) =>
        ctx.hooks.transform.tap(() => {
          throw new Error('boom');
        }),
    });
    const watcher = observing('watcher', ({ added }) => {
      seen.push(added);
      throw new Error('second');
    });
    await withSession(open({ plugins: [changing(), failing, watcher] }), async (session) => {
      const warnings: string[] = [];
      session.telemetry.on('warning', ({ message }) => warnings.push(message));
      expect((await refusal(() => session.transform())).message).toMatch(
        /^\[plugin failing\] transform .*boom/,
      );
      expect(seen).toEqual([exchanged(0, 1).added]);
      expect(warnings).toEqual([expect.stringMatching(/plugin watcher.*structureChange.*second/)]);
      await session.fit({ epochs: 1 });
    });
  });

  test('is told to every plugin, whatever the first one throws', async () => {
    const seen: string[] = [];
    const throwing = observing('a', () => {
      seen.push('a');
      throw new Error('boom');
    });
    const plugins = [changing(), throwing, observing('b', () => void seen.push('b'))];
    await withSession(open({ plugins }), async (session) => {
      const { place } = await refusal(() => session.transform());
      expect(place).toMatchObject({ plugin: 'a', hook: 'structureChange' });
      expect(seen).toEqual(['a', 'b']);
    });
  });
});

/** Notes changes of structure and loads of its state. */
function recorder(seen: unknown[]) {
  return plugin('recorder', {
    stateless: false,
    apply(ctx) {
      ctx.hooks.structureChange.tap(({ clock: { step }, ...change }) => {
        seen.push({ ...change, step });
      });
      ctx.keepState({ version: 1, save: () => ({}), load: () => void seen.push('load') });
    },
  });
}

describe('followPaths', () => {
  const change = { dropped: ['gone'], reshaped: ['other'] };

  test('keeps what still has its parameter, and disposes the rest', () => {
    const before = liveTensors();
    const record: Record<string, Tensor> = {
      gone: tf.zeros([2]),
      other: tf.zeros([2]),
      here: tf.ones([2]),
    };
    const { here } = record;
    expect(followPaths(record, change)).toEqual({ here });
    expect(liveTensors()).toBe(before + 1);
    here!.dispose();
  });

  test.each([
    ['numbers', 1, 2],
    ['lists of tensors', [], []],
    ['anything else', { moments: 'x' }, { moments: 'y' }],
  ])('takes %s', (_, here, gone) => {
    expect(followPaths({ here, gone }, change)).toEqual({ here });
  });
});
