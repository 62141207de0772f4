import { arraySource, datasetSource, HOOKS, memoryStore } from '@espalier/core';
import type { FitEnd, HookName, HookRow, SessionConfig } from '@espalier/core';
import {
  firstDifference,
  onBackend,
  tinyData,
  tinySource,
  trainedValues,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

/** Three steps an epoch. */
const train = arraySource({ ...tinyData({ examples: 12 }), batchSize: 4 });
const STEPS = 3;
const small = (more: Partial<SessionConfig> = {}) => open({ train, ...more });

describe('how long', () => {
  test('epochs: so many more, each time', () =>
    withSession(small(), async (session) => {
      for (const done of [1, 2, 3]) {
        const { history } = await session.fit({ epochs: 1 });
        expect({ epochs: history.length, ...session.clock }).toMatchObject({
          epochs: done,
          epoch: done,
          step: STEPS * done,
        });
      }
    }));

  test('untilEpoch: a total, in which what is done counts', () =>
    withSession(small(), async (session) => {
      const steps = [];
      for (const untilEpoch of [2, 2, 1, 3]) {
        expect((await session.fit({ untilEpoch })).status).toBe('completed');
        steps.push(session.clock.step);
      }
      expect(steps).toEqual([6, 6, 6, 9]);
    }));

  test('an epoch that was begun is the first of the epochs more', () =>
    withSession(small({ logInterval: 1 }), async (session) => {
      const stop = new AbortController();
      session.telemetry.on('step', () => stop.abort());
      await session.fit({ epochs: 2, signal: stop.signal });
      expect(session.clock).toMatchObject({ epoch: 0, step: 1 });
      await session.fit({ epochs: 1 });
      expect(session.clock).toMatchObject({ epoch: 1, step: STEPS, batchesInEpoch: 0 });
    }));

  test.each([
    [1, 4, [1, 2, 3, 4]],
    [2, 5, [2, 4, 5]],
    [9, 3, [3]],
  ])('validation every %i of %i epochs, the last always', (validateEvery, epochs, validated) =>
    withSession(small({ validation: tinySource(), validateEvery }), async (session) => {
      const { history } = await session.fit({ epochs });
      const found = history.flatMap(({ metrics }, i) => ('val/loss' in metrics ? [i + 1] : []));
      expect(found).toEqual(validated);
    }),
  );

  test('a validation interval of no epochs is refused', async () => {
    const { message } = await refusal(() => small({ validateEvery: 0 }));
    expect(message).toMatch(/validateEvery/);
  });

  test.each([{}, { epochs: 1, untilEpoch: 1 }, { goOn: true }])('not both, not none: %j', (given) =>
    withSession(small(), async (session) => {
      const { message } = await refusal(() => session.fit(given));
      expect(message).toMatch(/epochs: n, which trains n more, and untilEpoch: n, a total/);
      expect(session.clock.step).toBe(0);
    }),
  );
});

describe('data in place of options or a source', () => {
  const { x, y } = tinyData({ examples: 4 });
  const dataset = { forEachAsync: () => undefined, iterator: () => undefined };
  const given: Readonly<Record<string, () => unknown>> = {
    'a tensor': () => tf.zeros([4, 6]),
    tensors: () => [tf.zeros([4, 6])],
    'a record of tensors': () => ({ x: tf.zeros([4, 6]), y: tf.zeros([4]) }),
    numbers: () => x.data,
    'shaped numbers': () => x,
    'a data set of tf.data': () => dataset,
  };
  const whole = ['a record of tensors'];
  const cases = Object.keys(given).flatMap((what) => [
    ['fit', what] as const,
    ['evaluate', what] as const,
    ...(whole.includes(what) ? [] : [['step', what] as const, ['batch', what] as const]),
  ]);

  test.each(cases)('%s: %s', (method, what) =>
    withSession(small(), async (session) => {
      const called = session[method] as (...args: unknown[]) => Promise<unknown>;
      const { code, message } = await refusal(() =>
        called.call(session, given[what]!(), y, { epochs: 1 }),
      );
      expect(code).toBe('session/data');
      expect(message).toMatch(
        /not data.*(arraySource\(\{ x, y, .* attach\(model, preset\)|\(\{ x, y \})/,
      );
      expect(message).not.toContain('unknown option');
    }),
  );

  test('evaluate: { xs, ys }, as a data set gives', () =>
    withSession(small(), async (session) => {
      const batch = { xs: tf.zeros([4, 6]), ys: tf.zeros([4]) };
      for (const call of [
        () => session.step(batch as never),
        () => session.evaluate(batch as never),
      ])
        expect((await refusal(call)).code).toBe('session/data');
    }));

  test('step and loss: x, y', () =>
    withSession(small(), async (session) => {
      const [inputs, targets] = [tf.zeros([4, 6]), tf.zeros([4], 'int32')];
      const step = session.step.bind(session) as (...args: unknown[]) => Promise<unknown>;
      for (const act of [
        () => step(inputs, targets),
        () => step({ x: inputs }, targets),
        () => session.loss(inputs as never),
      ]) {
        const { code, message } = await refusal(act);
        expect(code).toBe('session/data');
        expect(message).toMatch(/session\.(step|loss)\(\{ x, y \}\)/);
      }
    }));

  test('fit: a source', () =>
    withSession(small(), async (session) => {
      const source = datasetSource(() => dataset as never, { fingerprint: 'd' });
      expect((await refusal(() => session.fit(source as never))).code).toBe('session/data');
    }));
});

/** Calls ctx.stop at the first firing of a hook, and notes how fits end. */
function stopping(hook: HookName, ends: FitEnd[] = []) {
  let fired = 0;
  return plugin('stopping', {
    apply(ctx) {
      ctx.hooks.finish.tap(({ clock, ...end }) => void ends.push({ ...end, clock: { ...clock } }));
      const { tap } = ctx.hooks[hook] as { tap(fn: (argument: unknown) => unknown): void };
      tap((argument) => {
        if (fired === 0) ctx.stop('enough');
        fired += 1;
        return (HOOKS[hook] as HookRow).kind.endsWith('waterfall') ? argument : undefined;
      });
    },
  });
}

describe('ctx.stop', () => {
  const within: Readonly<Partial<Record<HookName, number>>> = {
    epochStart: 0,
    batch: 1,
    beforeStep: 1,
    targets: 1,
    loss: 1,
    gradients: 1,
    beforeApply: 1,
    afterApply: 1,
    afterStep: 1,
    evaluate: STEPS,
    epochEnd: STEPS,
  };

  test.each(Object.entries(within) as [HookName, number][])(
    'in %s: the run ends after %d steps, and stays so',
    async (hook, steps) => {
      const ends: FitEnd[] = [];
      const plugins = [stopping(hook, ends)];
      await withSession(
        small({ plugins, validation: tinySource({ seed: 1 }) }),
        async (session) => {
          const warnings: string[] = [];
          session.telemetry.on('warning', ({ message }) => warnings.push(message));
          const stopped = { status: 'stopped', reason: 'enough' };
          expect(await session.fit({ epochs: 2 })).toMatchObject(stopped);
          expect(session.clock.step).toBe(steps);
          expect(session.stopReason).toBe('enough');
          expect(warnings).toEqual([]);
          expect(await session.fit({ epochs: 2 })).toMatchObject(stopped);
          expect(session.clock.step).toBe(steps);
          expect(warnings).toEqual([expect.stringMatching(/enough.*goOn: true/) as string]);
          expect(ends).toMatchObject([stopped, stopped]);
          expect(await session.fit({ untilEpoch: 2, goOn: true })).toMatchObject({
            status: 'completed',
          });
          expect(session.clock.step).toBe(2 * STEPS);
        },
      );
    },
  );

  test.each(['transform', 'finish'] as const)('in %s: the next fit takes no step', (hook) =>
    withSession(small({ plugins: [stopping(hook)] }), async (session) => {
      expect((await session.fit({ epochs: 1 })).status).toBe('completed');
      if (hook === 'transform') await session.transform();
      expect(await session.fit({ epochs: 1 })).toMatchObject({ status: 'stopped' });
      expect(session.clock.step).toBe(STEPS);
    }),
  );

  test('every hook is in one of the tables', () => {
    const afterwards = ['transform', 'finish', 'structureChange'];
    expect([...Object.keys(within), ...afterwards].sort()).toEqual(Object.keys(HOOKS).sort());
  });

  test('a transform ends it: its retraining trains', () =>
    withSession(small({ plugins: [stopping('afterStep')] }), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform();
      expect(session.stopReason).toBeUndefined();
      expect((await session.fit({ epochs: 1 })).status).toBe('completed');
    }));

  test.each(['epochStart', 'loss', 'afterStep', 'epochEnd'] as const)(
    'in %s outlives the process; told to go on, it ends as a run that went on at once',
    async (hook) => {
      const checkpoint = { store: memoryStore(), everySteps: 1 };
      const opened = () => small({ plugins: [stopping(hook)], checkpoint });
      await withSession(opened(), (session) => session.fit({ epochs: 2 }));
      const whole = await withSession(small(), (session) => trainedValues(session, 2));
      const silent = { apply: () => undefined };
      const resumed = small({ plugins: [plugin('stopping', silent)], checkpoint });
      await withSession(resumed, async (session) => {
        await session.load();
        const before = session.clock;
        expect(await session.fit({ untilEpoch: 2 })).toMatchObject({
          status: 'stopped',
          reason: 'enough',
        });
        expect(session.clock).toEqual(before);
        await session.fit({ untilEpoch: 2, goOn: true });
        expect(firstDifference(whole, valuesOf(session.parameters()))).toBeUndefined();
      });
    },
  );
});

describe('finish is told how the fit ended', () => {
  const endsOf = async (
    fit: (session: Awaited<ReturnType<typeof open>>) => Promise<unknown>,
    fails = false,
  ) => {
    const ends: FitEnd[] = [];
    const failing = plugin('failing', {
      apply: (ctx) =>
        ctx.hooks.afterStep.tap(() => {
          if (fails) throw new Error('no luck');
        }),
    });
    const watching = stopping('structureChange', ends);
    await withSession(small({ plugins: [watching, failing] }), (session) =>
      fit(session).catch(() => undefined),
    );
    return ends.map(({ status, reason }) => ({ status, reason }));
  };

  test('completed, aborted, failed', async () => {
    expect(await endsOf((session) => session.fit({ epochs: 1 }))).toEqual([
      { status: 'completed', reason: undefined },
    ]);
    const aborted = await endsOf((session) =>
      session.fit({ epochs: 1, signal: AbortSignal.abort() }),
    );
    expect(aborted).toEqual([{ status: 'aborted', reason: undefined }]);
    expect(await endsOf((session) => session.fit({ epochs: 1 }), true)).toEqual([
      { status: 'failed', reason: expect.stringContaining('no luck') as string },
    ]);
  });
});

test('a plugin gets the run’s folder, and paths of its options by what the run resolves them with', async () => {
  const seen: unknown[] = [];
  const looking = plugin('looking', {
    apply: (ctx) => void seen.push(ctx.folder, ctx.resolvePath('words.txt')),
  });
  await withSession(small({ plugins: [looking] }), () => Promise.resolve());
  const resolvePath = (path: string) => `config/${path}`;
  const given = { plugins: [looking], folder: 'runs/a', resolvePath };
  await withSession(small(given), () => Promise.resolve());
  expect(seen).toEqual([undefined, 'words.txt', 'runs/a', 'config/words.txt']);
});

test('a completed fit is saved, also where no epoch is due to be', async () => {
  const store = memoryStore();
  const checkpoint = { store, everyEpochs: 2 };
  await withSession(small({ checkpoint }), (session) => session.fit({ epochs: 3 }));
  expect(await store.list()).toEqual(['step-000000006.safetensors', 'step-000000009.safetensors']);
});
