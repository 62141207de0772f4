import { memoryStore } from '@espalier/core';
import type { HookName, Plugin, PluginContext, Session } from '@espalier/core';
import { firstDifference, onBackend, tinySource, valuesOf } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { changing, open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

type AsyncHook = 'epochStart' | 'beforeStep' | 'afterStep' | 'epochEnd';
const ASYNC: readonly AsyncHook[] = ['epochStart', 'beforeStep', 'afterStep', 'epochEnd'];

/** Acts once, in a hook of the second epoch. */
function acting(hook: AsyncHook, act: () => Promise<unknown>): Plugin {
  let done = false;
  return plugin('acting', {
    order: { after: ['counting', 'setting'], optional: ['counting', 'setting'] },
    apply: ({ clock, hooks }) =>
      hooks[hook].tap(async () => {
        if (done || clock.epoch < 1) return;
        done = true;
        await act();
      }),
  });
}

/** Keeps how often it was called, and lets it act on the targets. */
function counting(hook: HookName): Plugin {
  let calls = 0;
  return plugin('counting', {
    stateless: false,
    apply(ctx: PluginContext) {
      const { hooks } = ctx;
      (hooks[hook] as { tap(fn: (given: unknown) => unknown): void }).tap((given) => {
        calls += 1;
        return given;
      });
      ctx.keepState({
        version: 1,
        save: () => ({ json: calls }),
        load: ({ json }) => (calls = json as number),
      });
    },
  });
}

const CONFIG = { validation: tinySource({ seed: 1 }) };

/** Saves in a hook of a run of three epochs; gives back the error of the save, and the run resumed from it. */
async function saveIn(hook: AsyncHook, others: () => readonly Plugin[] = () => []) {
  const store = memoryStore();
  let error: unknown;
  const save = () => session.save(store).catch((thrown: unknown) => (error = thrown));
  const session: Session = await open({ ...CONFIG, plugins: [...others(), acting(hook, save)] });
  const whole = await session.fit({ epochs: 3 });
  const resumed = await open({
    ...CONFIG,
    plugins: [...others(), acting(hook, async () => undefined)],
  });
  const loaded = await resumed.load({ store });
  const again = loaded ? await resumed.fit({ untilEpoch: 3 }) : undefined;
  const difference = firstDifference(
    valuesOf(session.parameters()),
    valuesOf(resumed.parameters()),
  );
  await session.dispose();
  await resumed.dispose();
  return { error, loaded, difference, histories: [whole.history, again?.history] as const };
}

describe('a save in a tap', () => {
  it.each(ASYNC)(
    'of %s resumes to the bit where no plugin keeps state by that hook',
    async (hook) => {
      const { error, difference, histories } = await saveIn(hook);
      expect(error).toBeUndefined();
      expect(difference).toBeUndefined();
      expect(histories[1]).toEqual(histories[0]);
    },
  );

  it.each<[AsyncHook, HookName]>([
    ['epochStart', 'epochStart'],
    ['beforeStep', 'batch'],
    ['beforeStep', 'beforeStep'],
    ['afterStep', 'afterStep'],
    ['epochEnd', 'epochEnd'],
  ])('of %s is refused where a plugin keeps state by %s', async (hook, kept) => {
    const { error, loaded } = await saveIn(hook, () => [counting(kept)]);
    expect(error).toMatchObject({ code: 'checkpoint/in-between' });
    expect(String(error)).toContain(
      `plugin 'counting' keeps state and may have been called in '${kept}'`,
    );
    expect(loaded).toBe(false);
  });

  it('of beforeStep is refused where a plugin has set parameters in this step', async () => {
    const setting = () =>
      plugin('setting', {
        effects: { 'weights:hidden/bias': 'modify' },
        apply: (ctx) =>
          ctx.hooks.beforeStep.tap(() => {
            const bias = ctx.parameters()['hidden/bias']!;
            tf.tidy(() => ctx.assign({ 'hidden/bias': tf.add(bias, 0.01) }));
          }),
      });
    const { error } = await saveIn('beforeStep', () => [setting()]);
    expect(String(error)).toContain('a plugin has set parameters');
  });

  it('of transform is refused', async () => {
    let error: unknown;
    const saver = plugin('saver', {
      order: { after: ['changing'] },
      apply: ({ hooks }) =>
        hooks.transform.tap(async () => {
          error = await refusal(() => session.save(memoryStore()));
        }),
    });
    const session: Session = await open({ plugins: [changing(), saver] });
    await session.transform();
    expect(String(error)).toContain('a transform is under way');
    await session.save(memoryStore());
    await session.dispose();
  });
});
