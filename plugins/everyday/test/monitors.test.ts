import { appendLayers, definePlugin, memoryStore } from '@espalier/core';
import type { Session, SessionConfig } from '@espalier/core';
import { bestWeights, earlyStopping, ema, reduceOnPlateau } from '@espalier/plugin-everyday';
import { firstDifference, onBackend, tinySource, valuesOf, withSession } from '@espalier/testkit';
import type { Values } from '@espalier/testkit';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { open, plugin, scoring } from './support.js';

beforeAll(() => onBackend('cpu'));

const least = { monitor: 'score', mode: 'min' } as const;

describe('earlyStopping', () => {
  test.each<[string, Parameters<typeof earlyStopping>[0], number[], number]>([
    ['waits for an improvement', { ...least, patience: 2 }, [3, 2, 2, 2, 1], 4],
    ['an improvement ends the wait', { ...least, patience: 2 }, [3, 3, 2, 2, 1], 5],
    ['of more than minDelta', { ...least, patience: 2, minDelta: 0.5 }, [3, 2.6, 2.6, 1], 3],
    ['more may be better', { monitor: 'score', mode: 'max', patience: 1 }, [1, 2, 2, 3], 3],
    ['a baseline to beat', { ...least, patience: 2, baseline: 1 }, [3, 2, 1.5, 1.6, 0], 4],
    ['begins later', { ...least, patience: 2, startFromEpoch: 2 }, [1, 5, 5, 5, 5, 5], 5],
    ['NaN is none', { ...least, patience: 2 }, [NaN, NaN, 1], 2],
  ])('%s', (_, options, scores, epochs) =>
    withSession(open({ plugins: [scoring(scores), earlyStopping(options)] }), async (session) => {
      const { history, status } = await session.fit({ epochs: scores.length });
      expect({ epochs: history.length, status }).toEqual({
        epochs,
        status: epochs < scores.length ? 'stopped' : 'completed',
      });
    }),
  );

  test('says why, and a run that goes on waits anew', () => {
    const plugins = [scoring([1, 2, 3, 4, 5, 6]), earlyStopping({ ...least, patience: 2 })];
    return withSession(open({ plugins }), async (session) => {
      const { reason } = await session.fit({ epochs: 6 });
      expect(reason).toBe('score has not improved for 2 epochs: best 1, last 3');
      expect((await session.fit({ untilEpoch: 6, goOn: true })).history).toHaveLength(5);
    });
  });
});

describe('a number that the epoch has not', () => {
  test.each([earlyStopping, bestWeights, reduceOnPlateau])('is refused at its end: %o', (make) =>
    withSession(open({ plugins: [make({ monitor: 'val/los', mode: 'min' })] }), async (session) => {
      await expect(session.fit({ epochs: 1 })).rejects.toThrow(
        /no number 'val\/los'.*"loss".*validation of createSession.*\(monitor\/metric\)/s,
      );
    }),
  );

  test('with a suggestion', () =>
    withSession(
      open({
        validation: tinySource(),
        plugins: [earlyStopping({ monitor: 'val/los', mode: 'min' })],
      }),
      (session) => expect(session.fit({ epochs: 1 })).rejects.toThrow(/Did you mean 'val\/loss'/),
    ));

  test('a mode that no name tells is asked for at setup', () =>
    expect(open({ plugins: [bestWeights({ monitor: 'val/score' })] })).rejects.toThrow(
      /'val\/score' does not say.*mode: 'min'.*monitor\/mode/s,
    ));
});

describe('bestWeights', () => {
  const scores = [3, 1, 2, 2];

  const failing = () =>
    plugin('failing', (ctx) =>
      ctx.hooks.beforeStep.tap(() => {
        if (ctx.clock.epoch === 2) throw new Error('disk full');
      }),
    );
  const aborting = (stop: AbortController) =>
    plugin('aborting', (ctx) =>
      ctx.hooks.beforeStep.tap(() => void (ctx.clock.epoch === 2 && stop.abort())),
    );

  test.each(['completed', 'stopped', 'aborted', 'failed'])(
    'puts them back in a fit that is %s',
    async (how) => {
      const [seen, reports, stop]: [Values[], unknown[], AbortController] = [
        [],
        [],
        new AbortController(),
      ];
      const beside = {
        completed: [],
        stopped: [earlyStopping({ ...least, patience: 1 })],
        aborted: [aborting(stop)],
        failed: [failing()],
      }[how]!;
      const plugins = [scoring(scores, seen), bestWeights(least), ...beside];
      await withSession(open({ plugins }), async (session) => {
        session.telemetry.on('report', (event) => reports.push(event));
        const fit = session.fit({ epochs: 4, signal: stop.signal });
        if (how === 'failed') await expect(fit).rejects.toThrow(/disk full/);
        else expect((await fit).status).toBe(how);
        expect(firstDifference(valuesOf(session.parameters()), seen[1]!)).toBeUndefined();
        const data = { epoch: 1, value: 1, monitor: 'score', status: how };
        expect(reports).toEqual([{ plugin: 'best-weights', what: 'restored', data }]);
      });
    },
  );

  test('restore: false leaves the last ones', async () => {
    const seen: Values[] = [];
    const plugins = [scoring(scores, seen), bestWeights({ ...least, restore: false })];
    await withSession(open({ plugins }), async (session) => {
      await session.fit({ epochs: 4 });
      expect(firstDifference(valuesOf(session.parameters()), seen[3]!)).toBeUndefined();
    });
  });

  test('a later fit goes on from them, in a new process too', async () => {
    const store = memoryStore();
    const config = (): Partial<SessionConfig> => ({
      plugins: [scoring(scores), bestWeights(least)],
      checkpoint: { store },
    });
    const later = await withSession(open(config()), async (session) => {
      await session.fit({ epochs: 3 });
      const restored = valuesOf(session.parameters());
      const other = await withSession(open(config()), async (resumed) => {
        await resumed.load();
        expect(firstDifference(valuesOf(resumed.parameters()), restored)).toBeUndefined();
        await resumed.fit({ untilEpoch: 4 });
        return valuesOf(resumed.parameters());
      });
      await session.load();
      await session.fit({ untilEpoch: 4 });
      return [valuesOf(session.parameters()), other] as const;
    });
    expect(firstDifference(...later)).toBeUndefined();
  });

  test('of an average are what was evaluated', () => {
    const validation = tinySource({ examples: 6 });
    const plugins = [ema({ decay: 0.5 }), scoring(scores), bestWeights(least)];
    return withSession(open({ plugins, validation }), async (session) => {
      const { history } = await session.fit({ epochs: 4 });
      expect(await session.evaluate()).toMatchObject({ loss: history[1]!.metrics['val/loss'] });
    });
  });
});

describe('another model', () => {
  /** Gives the model an output of its own in each transform. */
  const changing = definePlugin({
    id: 'changing',
    version: '1.0.0',
    options: z.strictObject({}),
    effects: { 'structure:changing': 'add' },
    stateless: true,
    apply(ctx) {
      ctx.hooks.transform.tap(() => {
        const layers = [tfl.layers.dense({ name: 'spare', units: 2 })];
        ctx.edit((graph) => appendLayers(graph, { after: 'hidden', layers, output: true }));
      });
    },
  });

  /** Fits two epochs with falling, then two with higher scores; `change` in between. */
  async function fitAround(change: (session: Session) => unknown) {
    const reports: unknown[] = [];
    const watching = [bestWeights(least), earlyStopping({ ...least, patience: 1 })];
    const plugins = [scoring([2, 1, 5, 4]), changing(), ...watching];
    return withSession(open({ plugins }), async (session) => {
      session.telemetry.on('report', ({ data }) => reports.push((data as { epoch: number }).epoch));
      await session.fit({ epochs: 2 });
      await change(session);
      const { status } = await session.fit({ epochs: 2 });
      return { status, reports };
    });
  }

  test('is measured anew', async () => {
    const found = await fitAround((session) => session.transform());
    expect(found).toEqual({ status: 'completed', reports: [1, 3] });
  });

  test('is not what only trains in part', async () => {
    const found = await fitAround(({ model }) => (model.layers[0]!.trainable = false));
    expect(found).toEqual({ status: 'stopped', reports: [1, 1] });
  });
});

describe('reduceOnPlateau', () => {
  /** The factor in each epoch. */
  async function factorsOf(options: Parameters<typeof reduceOnPlateau>[0], scores: number[]) {
    const factors: number[] = [];
    const watching = plugin('watching', (ctx) =>
      ctx.hooks.epochStart.tap(() => void factors.push(now())),
    );
    let now = () => 1;
    await withSession(
      open({ plugins: [scoring(scores), reduceOnPlateau({ ...least, ...options }), watching] }),
      async (session) => {
        now = () => session.inspect().updateScales['reduce-on-plateau'] ?? 1;
        await session.fit({ epochs: scores.length });
      },
    );
    return factors;
  }

  test('reduces after the patience, and waits anew', async () => {
    const flat = [1, 1, 1, 1, 1, 1];
    expect(await factorsOf({ factor: 0.5, patience: 2 }, flat)).toEqual([1, 1, 1, 0.5, 0.5, 0.25]);
  });

  test('an improvement ends the wait', async () => {
    expect(await factorsOf({ factor: 0.5, patience: 2 }, [3, 3, 2, 2, 2, 2])).toEqual([
      1, 1, 1, 1, 1, 0.5,
    ]);
  });

  test('a cooldown does not count, as in Keras', async () => {
    const options = { factor: 0.5, patience: 1, cooldown: 2 };
    expect(await factorsOf(options, [1, 1, 1, 1, 1, 1])).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25]);
  });

  test('never below minFactor', async () => {
    const options = { factor: 0.25, patience: 1, minFactor: 0.1 };
    expect(await factorsOf(options, [1, 1, 1, 1])).toEqual([1, 1, 0.25, 0.1]);
  });
});
