import { arraySource, HOOKS, memoryStore, sgd } from '@espalier/core';
import type { HookName, HookRow, Plugin, Session, SessionConfig } from '@espalier/core';
import {
  firstDifference,
  onBackend,
  tensorsLeakedBy,
  tinyData,
  tinyNoisyMlp,
  trainInOwnLoop,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

/** Three steps an epoch. */
const train = arraySource({ ...tinyData({ examples: 12 }), batchSize: 4 });
const noisy = (more: Partial<SessionConfig> = {}) => open({ model: tinyNoisyMlp, train, ...more });
const makeBatch = (seed: number) => {
  const { x, y } = tinyData({ examples: 4, seed });
  return { x: tf.tensor2d(x.data, [4, 6]), y: tf.tensor1d(y.data, 'int32') };
};

/** Notes every hook with the clock at that moment, and the first number of `next`. */
function noting(notes: unknown[]): Plugin {
  return plugin('noting', {
    apply(ctx) {
      ctx.lookAhead();
      for (const hook of Object.keys(HOOKS) as HookName[]) {
        const point = ctx.hooks[hook] as { tap(fn: (argument: never) => unknown): void };
        point.tap(
          (argument: { next?: { inputs: Record<string, tf.Tensor> }; metrics?: unknown }) => {
            const next = Object.values(argument.next?.inputs ?? {}).map((x) => x.dataSync()[0]);
            notes.push([hook, { ...ctx.clock }, next, argument.metrics]);
            return (HOOKS[hook] as HookRow).kind.endsWith('waterfall') ? argument : undefined;
          },
        );
      }
    },
  });
}

/** What a run of two epochs fired, emitted and saved, and its weights. */
async function watchRun(fitting: (session: Session) => Promise<unknown>) {
  const notes: unknown[] = [];
  const events: unknown[] = [];
  const checkpoint = { store: memoryStore(), everySteps: 2 };
  const plugins = [noting(notes)];
  return withSession(noisy({ plugins, checkpoint, logInterval: 1 }), async (session) => {
    for (const event of ['epochStart', 'step', 'epoch', 'checkpoint', 'finish'] as const) {
      session.telemetry.on(event, (data) => events.push([event, data]));
    }
    await fitting(session);
    return { notes, events, values: valuesOf(session.parameters()), clock: session.clock };
  });
}

test('a loop of one’s own is a fit: hooks, next batches, events, checkpoints, numbers, weights', async () => {
  const fitted = await watchRun((session) => session.fit({ epochs: 2 }));
  const own = await watchRun((session) => trainInOwnLoop(session, train, 2));
  expect(own.notes).toEqual(fitted.notes);
  expect(own.events).toEqual(fitted.events);
  expect(own.clock).toEqual(fitted.clock);
  expect(firstDifference(own.values, fitted.values)).toBeUndefined();
});

/** Three batches, in the order of a source. */
const batches = () => [0, 1, 2].map(makeBatch);

/** Two epochs of the loop, each call by `call`. */
async function loop(call: (work: (session: Session) => Promise<unknown>) => Promise<void>) {
  for (const each of [batches(), batches()]) {
    await call((session) => session.beginEpoch());
    for (const [i, batch] of each.entries()) {
      await call((session) => session.step(batch, { next: each[i + 1], inEpoch: true }));
    }
    await call((session) => session.endEpoch());
    tf.dispose(each);
  }
}

test('saved and loaded before every call, it ends in the same bits, and each hook fires once', async () => {
  const whole: unknown[] = [];
  const values = await withSession(noisy({ plugins: [noting(whole)] }), async (session) => {
    await loop(async (work) => void (await work(session)));
    return valuesOf(session.parameters());
  });
  const parts: unknown[] = [];
  const store = memoryStore();
  let last: typeof values | undefined;
  await loop((work) =>
    withSession(noisy({ plugins: [noting(parts)] }), async (session) => {
      await session.load({ store });
      await work(session);
      await session.save(store);
      last = valuesOf(session.parameters());
    }),
  );
  expect(parts).toEqual(whole);
  expect(firstDifference(last!, values)).toBeUndefined();
});

test('it leaves no tensor', () =>
  withSession(noisy({ plugins: [noting([])] }), async (session) => {
    await loop(async (work) => void (await work(session)));
    const leaked = await tensorsLeakedBy(() => loop(async (work) => void (await work(session))));
    expect(leaked).toBe(0);
  }));

describe('random draws and batches of one’s own', () => {
  const draws = async (next: boolean) => {
    const losses: number[] = [];
    const ahead = plugin('ahead', { apply: (ctx) => ctx.lookAhead() });
    await withSession(
      noisy({ plugins: [ahead], optimizer: sgd({ learningRate: 1e-30 }) }),
      async (session) => {
        const one = makeBatch(0);
        for (let i = 0; i < 3; i++) {
          losses.push((await session.step(one, next ? { next: one } : {})).total);
        }
        tf.dispose(one);
      },
    );
    return losses;
  };

  test('one batch again and again draws anew, also where it is the next', async () => {
    const [alone, ahead] = [await draws(false), await draws(true)];
    expect(new Set(alone).size).toBe(3);
    expect(ahead).toEqual(alone);
  });

  test('`next` is given to plugins that look ahead only', () =>
    withSession(noisy(), async (session) => {
      const [one, two] = batches();
      tf.dispose(two!.x);
      await session.step(one!, { next: two });
      expect(session.looksAhead).toBe(false);
      expect(session.clock).toMatchObject({ step: 1, batchesInEpoch: 0 });
    }));
});

describe('an epoch', () => {
  test('has the means of its steps and the metrics that it is given', () =>
    withSession(noisy(), async (session) => {
      await session.beginEpoch();
      const losses = [];
      for (const batch of batches()) {
        losses.push((await session.step(batch, { inEpoch: true })).total);
      }
      await session.step(makeBatch(7)); // counts in no epoch
      const { clock, metrics } = await session.endEpoch({ 'val/loss': NaN });
      expect(clock).toMatchObject({ epoch: 0, step: 4, batchesInEpoch: 3 });
      expect(metrics['loss']).toBeCloseTo(losses.reduce((a, b) => a + b) / 3, 6);
      expect(metrics['val/loss']).toBeNaN();
      expect(session.clock).toMatchObject({ epoch: 1, batchesInEpoch: 0 });
    }));

  const cases: readonly [string, RegExp, (session: Session) => Promise<unknown>][] = [
    ['a step before it begins', /beginEpoch/, (s) => s.step(makeBatch(0), { inEpoch: true })],
    ['its end without a step', /inEpoch: true/, (s) => s.beginEpoch().then(() => s.endEpoch())],
    ['its end before it begins', /inEpoch: true/, (s) => s.endEpoch()],
    ['an unknown option', /unknown option 'nxt'/, (s) => s.step(makeBatch(0), { nxt: 1 } as never)],
    [
      'a next that is no batch',
      /'next': must be a batch/,
      (s) => s.step(makeBatch(0), { next: 3 as never }),
    ],
    ['a status that there is none of', /'status'/, (s) => s.endFit({ status: 'done' as never })],
    ['a metric that is no number', /'acc'/, (s) => s.endEpoch({ acc: '1' as never })],
    [
      'a metric that a mean is named as',
      /already has a metric 'loss'/,
      async (s) => {
        await s.beginEpoch();
        await s.step(makeBatch(0), { inEpoch: true });
        await s.endEpoch({ loss: 1 });
      },
    ],
  ];
  test.each(cases)('refuses %s', (_, message, act) =>
    withSession(noisy(), async (session) => {
      expect((await refusal(() => act(session))).message).toMatch(message);
      expect(session.clock.epoch).toBe(0);
    }),
  );

  test('a folder of another run is refused before anything is trained', async () => {
    const store = memoryStore();
    await withSession(noisy(), (session) => session.save(store));
    await withSession(noisy({ checkpoint: { store } }), async (session) => {
      for (const act of [() => session.beginEpoch(), () => session.endFit()]) {
        expect((await refusal(act)).code).toBe('checkpoint/occupied');
      }
      await session.step(makeBatch(0)); // of no epoch: nothing is written
      expect(await store.list()).toHaveLength(1);
    });
  });
});

test('the end of a loop says how it ended', async () => {
  const ends: unknown[] = [];
  const stopping = plugin('stopping', {
    apply(ctx) {
      ctx.hooks.afterStep.tap(() => ctx.stop('enough'));
      ctx.hooks.finish.tap(({ status, reason }) => void ends.push([status, reason]));
    },
  });
  await withSession(noisy({ plugins: [stopping] }), async (session) => {
    await session.endFit();
    await session.step(makeBatch(0));
    await session.endFit();
    await session.endFit({ status: 'failed', reason: 'no data' });
    await session.beginEpoch();
    expect(session.stopReason).toBe('enough');
    await session.beginEpoch({ goOn: true });
    expect(session.stopReason).toBeUndefined();
  });
  expect(ends).toEqual([
    ['completed', undefined],
    ['stopped', 'enough'],
    ['failed', 'no data'],
  ]);
});
