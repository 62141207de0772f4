import { adam, arraySource, memoryStore } from '@espalier/core';
import type {
  CheckpointStore,
  ModelEdit,
  NamedTensors,
  Plugin,
  Session,
  SessionConfig,
  Stage,
  StagesResult,
} from '@espalier/core';
import {
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
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

/** Rounds every number of the model to a coarse grid that it shifts at random. */
function rounding(id: string, { stops = false } = {}): Plugin {
  return plugin(id, {
    apply(ctx) {
      ctx.hooks.transform.tap(() => {
        const shift = ctx.random('shift')() / 4;
        const round = (value: tf.Tensor) => tf.div(tf.add(tf.round(tf.mul(value, 4)), shift), 4);
        const edit: ModelEdit = ({ topology, weights }) => {
          const rounded = Object.entries(weights).map(([path, value]) => [path, round(value)]);
          return { topology, weights: Object.fromEntries(rounded) as NamedTensors };
        };
        tf.tidy(() => ctx.edit(edit));
      });
      ctx.hooks.epochStart.tap(({ clock }) => {
        if (stops && clock.epoch === 1) ctx.stop('enough');
      });
    },
  });
}

const STAGES: readonly Stage[] = [
  { epochs: 2 },
  { transform: ['coarse'] },
  { epochs: 1 },
  { transform: true },
];

const small = (more: Partial<SessionConfig> = {}) =>
  open({
    model: tinyNoisyMlp,
    optimizer: adam({ learningRate: 0.05 }),
    train: arraySource({ ...tinyData({ examples: 12 }), batchSize: 4 }),
    validation: tinySource({ seed: 1 }),
    plugins: [rounding('coarse'), rounding('last')],
    ...more,
  });

interface Ended extends Pick<StagesResult, 'status' | 'metrics'> {
  readonly values: ReturnType<typeof valuesOf>;
}

async function ended(session: Session, stages = STAGES): Promise<Ended> {
  const { status, metrics } = await session.runStages(stages);
  return { status, metrics, values: valuesOf(session.parameters()) };
}

/** A store, and what it held after each checkpoint. */
function recording() {
  const files = new Map<string, Uint8Array>();
  const moments: ReadonlyMap<string, Uint8Array>[] = [];
  const store = storeOf(files);
  const write: CheckpointStore['write'] = async (name, bytes) => {
    await store.write(name, bytes);
    if (name.startsWith('step-')) moments.push(new Map(files));
  };
  return { store: { ...store, write }, moments };
}

function storeOf(files: Map<string, Uint8Array>): CheckpointStore {
  return {
    location: 'a map',
    list: () => Promise.resolve([...files.keys()]),
    read: (name) => Promise.resolve(files.get(name)!),
    write: (name, bytes) => Promise.resolve(void files.set(name, bytes.slice())),
    remove: (name) => Promise.resolve(void files.delete(name)),
  };
}

describe('stages', () => {
  test('are what fit and transform are, one after the other', async () => {
    const before = liveTensors();
    const staged = await withSession(small(), ended);
    const byHand = await withSession(small(), async (session) => {
      await session.fit({ epochs: 2 });
      await session.transform({ plugins: ['coarse'] });
      await session.fit({ epochs: 1 });
      await session.transform();
      const metrics = await session.evaluate();
      return { values: valuesOf(session.parameters()), metrics };
    });
    expect(firstDifference(staged.values, byHand.values)).toBeUndefined();
    expect(staged).toMatchObject({
      status: 'completed',
      metrics: { 'val/loss': byHand.metrics['loss'], 'val/accuracy': byHand.metrics['accuracy'] },
    });
    expect(liveTensors()).toBe(before);
  });

  test('go on from every checkpoint of a run to the same bits and numbers', async () => {
    const { store, moments } = recording();
    const more = { checkpoint: { store, everySteps: 2 } };
    const whole = await withSession(small(more), ended);
    const undisturbed = await withSession(small(), ended);
    expect(firstDifference(whole.values, undisturbed.values)).toBeUndefined();
    const seen = new Set<number>();
    for (const files of moments) {
      const checkpoint = { store: storeOf(new Map(files)) };
      const resumed = await withSession(small({ checkpoint }), async (session) => {
        expect(await session.load()).toBe(true);
        seen.add(session.progress.done.length);
        return ended(session);
      });
      expect(firstDifference(whole.values, resumed.values)).toBeUndefined();
      expect({ ...resumed, values: {} }).toEqual({ ...whole, values: {} });
    }
    // In training before and after the first transform, and at the end.
    expect([...seen].sort()).toEqual([0, 2, 4]);
  });

  test('a transform that could not be saved is done again, from where it began', async () => {
    const whole = await withSession(small(), ended);
    const store = memoryStore();
    const failing = (after: number): CheckpointStore => {
      let writes = 0;
      const write: CheckpointStore['write'] = (name, bytes) => {
        writes += Number(name.startsWith('step-'));
        if (writes > after) return Promise.reject(new Error('no room'));
        return store.write(name, bytes);
      };
      return { ...store, write };
    };
    const cut = small({ checkpoint: { store: failing(2) } });
    await withSession(cut, (session) => expect(ended(session)).rejects.toThrow('no room'));
    const resumed = await withSession(small({ checkpoint: { store } }), async (session) => {
      await session.load();
      expect(session.inspect().edits).toEqual([]);
      return ended(session);
    });
    expect(firstDifference(whole.values, resumed.values)).toBeUndefined();
  });

  test('an aborted run goes on in the stage that it was in', async () => {
    const whole = await withSession(small(), ended);
    for (const stopAt of [2, 7]) {
      const checkpoint = { store: memoryStore() };
      await withSession(small({ checkpoint, logInterval: 1 }), async (session) => {
        const stop = new AbortController();
        session.telemetry.on('step', ({ step }) => step === stopAt && stop.abort());
        const { status } = await session.runStages(STAGES, { signal: stop.signal });
        expect(status).toBe('aborted');
        expect(session.clock.step).toBe(stopAt);
      });
      const resumed = await withSession(small({ checkpoint }), async (session) => {
        await session.load();
        return ended(session);
      });
      expect(firstDifference(whole.values, resumed.values)).toBeUndefined();
    }
  });

  test('a plain run is taken on by stages that begin with it', async () => {
    const checkpoint = { store: memoryStore() };
    await withSession(small({ checkpoint }), (session) => session.fit({ epochs: 2 }));
    const further = await withSession(small({ checkpoint }), async (session) => {
      await session.load();
      return ended(session);
    });
    const whole = await withSession(small(), ended);
    expect(firstDifference(whole.values, further.values)).toBeUndefined();
  });

  test('tell which stage begins, and what the model is worth after a transform', () =>
    withSession(small(), async (session) => {
      const told: unknown[] = [];
      session.telemetry
        .on('stage', (stage) => told.push(stage))
        .on('transform', ({ plugins, metrics }) => told.push([plugins, Object.keys(metrics)]));
      await session.runStages(STAGES);
      const metrics = ['val/loss', 'val/accuracy'];
      expect(told).toEqual([
        { index: 0, count: 4, epochs: 2 },
        { index: 1, count: 4, transform: ['coarse'] },
        [['coarse'], metrics],
        { index: 2, count: 4, epochs: 1 },
        { index: 3, count: 4, transform: ['coarse', 'last'] },
        [['coarse', 'last'], metrics],
      ]);
    }));

  test('nothing else changes or ends the run while a transform is evaluated', async () => {
    let isTransformed = false;
    const refused: Promise<unknown>[] = [];
    const meddling = plugin('meddling', {
      apply(ctx) {
        ctx.hooks.transform.tap(() => void (isTransformed = true));
        ctx.hooks.evaluate.tap(() => {
          if (!isTransformed) return;
          for (const meddle of [() => session.dispose(), () => session.fit({ epochs: 1 })])
            refused.push(refusal(meddle).then(({ code }) => code));
        });
      },
    });
    const session: Session = await open({
      plugins: [meddling],
      validation: tinySource({ seed: 1 }),
    });
    expect((await session.runStages([{ transform: true }])).status).toBe('completed');
    expect(new Set(await Promise.all(refused))).toEqual(new Set(['session/busy']));
    await session.dispose();
  });

  test('a plugin that stops the run stops the stage: the next begins', () =>
    withSession(small({ plugins: [rounding('coarse', { stops: true })] }), async (session) => {
      const stages = [{ epochs: 3 }, { transform: true }, { epochs: 1 }] as const;
      const { status, history } = await session.runStages(stages);
      expect({ status, epochs: history.length }).toEqual({ status: 'stopped', epochs: 1 });
      expect(session.progress.done).toEqual([{ epochs: 3 }, { transform: ['coarse'] }]);
      expect((await session.runStages(stages)).status).toBe('stopped');
      const on = await session.runStages(stages, { goOn: true });
      expect(on).toMatchObject({ status: 'stopped', reason: 'enough' });
    }));
});

describe('refused before the first step', () => {
  test.each<[unknown, RegExp]>([
    [[], /session\.runStages/],
    [{ epochs: 1 }, /session\.runStages/],
    [[{ epochs: 0 }], /'0\.epochs'/],
    [[{}], /'0': must have one of epochs: 3 and transform/],
    [[{ epochs: 1, transform: true }], /'0': must have one of epochs: 3 and transform/],
    [[{ epoch: 1 }], /Did you mean 'epochs'/],
    [[{ epochs: 1 }, { transform: ['coarze'] }], /no plugin 'coarze'.*Did you mean 'coarse'/],
  ])('%j', (stages, message) =>
    withSession(small(), async (session) => {
      const error = await refusal(() => session.runStages(stages as never));
      expect(error.message).toMatch(message);
      expect(session.clock.step).toBe(0);
    }),
  );

  test.each<[string, readonly Stage[]]>([
    ['shorter', [{ epochs: 1 }, ...STAGES.slice(1)]],
    ['other plugins', [STAGES[0]!, { transform: ['last'] }, ...STAGES.slice(2)]],
    ['gone', STAGES.slice(0, 1)],
  ])('stages that are over and were others: %s', (_, other) =>
    withSession(small(), async (session) => {
      await session.runStages(STAGES.slice(0, 3));
      const { code, message } = await refusal(() => session.runStages(other));
      expect(code).toBe('session/stages');
      expect(message).toMatch(/stage [12] of this run is over/);
      expect((await session.runStages(STAGES)).status).toBe('completed');
    }),
  );
});

describe('a transform that never ran', () => {
  const WARNING = /no transform of 'last' has run.*transform: true.*session\.transform\(\)/;
  const none: readonly RegExp[] = [];
  const coarse = { plugins: ['coarse'] };
  const runs: [string, (session: Session) => Promise<unknown>, readonly RegExp[]][] = [
    ['a fit alone', (s) => s.transform(coarse).then(() => s.fit({ epochs: 1 })), [WARNING]],
    ['stages without it', (s) => s.runStages(STAGES.slice(0, 2)), [WARNING]],
    ['all stages', (s) => s.runStages(STAGES), none],
    ['by hand', (s) => s.fit({ epochs: 1 }).then(() => s.transform()), none],
    ['no training', (s) => s.evaluate(), none],
    ['an aborted fit', (s) => s.fit({ epochs: 1, signal: AbortSignal.abort() }), none],
    ['aborted stages', (s) => s.runStages(STAGES, { signal: AbortSignal.abort() }), none],
  ];

  test.each(runs)('is told once, when the run is over: %s', async (_, run, warnings) => {
    const told: string[] = [];
    await withSession(small(), async (session) => {
      session.telemetry.on('warning', ({ message }) => told.push(message));
      await run(session);
    });
    expect(told).toEqual(warnings.map((each) => expect.stringMatching(each) as string));
  });

  const failing = plugin('fails', {
    apply: (ctx) =>
      ctx.hooks.transform.tap(() => {
        throw new Error('no');
      }),
  });
  const failures: [string, (session: Session) => Promise<unknown>][] = [
    ['by hand', (s) => s.fit({ epochs: 1 }).then(() => s.transform())],
    ['as a stage', (s) => s.runStages([{ epochs: 1 }, { transform: true }])],
  ];

  test.each(failures)('is not told where it failed: %s', async (_, run) => {
    const told: string[] = [];
    await withSession(small({ plugins: [failing] }), async (session) => {
      session.telemetry.on('warning', ({ message }) => told.push(message));
      expect((await refusal(() => run(session))).message).toContain('[plugin fails] transform');
    });
    expect(told).toEqual([]);
  });

  test('is known after load', async () => {
    const checkpoint = { store: memoryStore() };
    await withSession(small({ checkpoint }), (s) => s.runStages(STAGES.slice(0, 2)));
    await withSession(small({ checkpoint }), async (session) => {
      expect(session.untransformed).toEqual(['coarse', 'last']);
      await session.load();
      expect(session.untransformed).toEqual(['last']);
    });
  });
});
