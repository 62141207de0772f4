import { disposeModel, memoryStore, replaceLayer } from '@espalier/core';
import type { Session } from '@espalier/core';
import { liveTensors, onBackend, tinyMlp, tinyNoisyMlp, withSession } from '@espalier/testkit';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { changing, open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const trains = (session: Session) => Object.keys(session.parameters({ trainable: true }));
const HEAD = ['logits/kernel', 'logits/bias'];
const ADDED = ['spare_0/kernel', 'spare_0/bias'];
const head = (path: string) => path.startsWith('logits/');
const snapshot = (model: LayersModel) => model.getWeights().map((weight) => [...weight.dataSync()]);

/** Of models in a model: setting `trainable` on the outer one reaches its own layers and none further in. */
function nested(): LayersModel {
  const inner = tfl.sequential({
    name: 'inner',
    layers: [
      tfl.layers.dense({ name: 'hidden', units: 4, inputShape: [5] }),
      tfl.layers.batchNormalization({ name: 'norm' }),
    ],
  });
  return tfl.sequential({
    layers: [
      tfl.layers.dense({ name: 'first', units: 5, inputShape: [6] }),
      inner,
      tfl.layers.dense({ name: 'logits', units: 3 }),
    ],
  });
}
const INNER = ['hidden/kernel', 'hidden/bias', 'norm/gamma', 'norm/beta'].map(
  (path) => `inner/${path}`,
);

describe('trainable of createSession', () => {
  test('says which parameters train, whatever the flags of layers are, at setup and later', async () => {
    const model = tinyNoisyMlp();
    await withSession(open({ model, trainable: head }), async (session) => {
      expect(trains(session)).toEqual(HEAD);
      const before = snapshot(model);
      await session.fit({ epochs: 1 });
      const moved = snapshot(model).flatMap((values, i) =>
        values.some((value, j) => value !== before[i]![j]) ? [i] : [],
      );
      expect(moved).toEqual([4, 5]);
    });
    disposeModel(model);
  });

  test.each([[], [changing('changing', 'first')]])(
    'as in tfjs: a model that is frozen around another one leaves that one (plugins: %#)',
    async (...plugins) => {
      const model = nested();
      model.trainable = false;
      const added = plugins.length > 0 ? ADDED : [];
      const config = { model, trainable: () => true, plugins };
      await withSession(open(config), async (session) => {
        expect(trains(session)).toEqual([...INNER, ...added]);
        const norm = (model.getLayer('inner') as LayersModel).getLayer('norm');
        const before = [...norm.weights[2]!.read().dataSync()];
        await session.fit({ epochs: 1 });
        expect([...norm.weights[2]!.read().dataSync()]).not.toEqual(before);
        model.getLayer('logits').trainable = true;
        expect(trains(session)).toEqual([...INNER, ...HEAD, ...added]);
        model.getLayer('logits').trainable = false;
        model.getLayer('inner').trainable = false;
        expect(trains(session)).toEqual(added);
      });
      disposeModel(model);
    },
  );

  test('is asked once for each parameter that can train', async () => {
    const asked: string[] = [];
    const trainable = (path: string) => asked.push(path) > 0;
    await withSession(open({ model: tinyNoisyMlp, trainable }), async (session) => {
      await session.fit({ epochs: 1 });
      expect(trains(session)).toEqual(asked);
    });
    expect(asked).toEqual(['hidden/kernel', 'hidden/bias', 'norm/gamma', 'norm/beta', ...HEAD]);
  });

  test('holds through edits; what plugins add follows its flags', async () => {
    const model = tinyNoisyMlp();
    const live = liveTensors();
    const config = { model, trainable: head, plugins: [changing()] };
    await withSession(open(config), async (session) => {
      expect(trains(session)).toEqual([...HEAD, ...ADDED]);
      await session.transform();
      expect(trains(session)).toEqual([...HEAD, 'spare_1/kernel', 'spare_1/bias']);
      session.model.getLayer('hidden').trainable = true;
      session.model.getLayer('spare_1').trainable = false;
      expect(trains(session)).toEqual(HEAD);
    });
    expect(liveTensors()).toBe(live);
    disposeModel(model);
  });

  test('what a plugin freezes does not train', async () => {
    const freezing = plugin('freezing', {
      apply(ctx) {
        ctx.edit((graph) => graph);
        ctx.model.layersModel.getLayer('logits').trainable = false;
      },
    });
    const config = { model: tinyMlp, trainable: () => true, plugins: [freezing] };
    await withSession(open(config), (session) => {
      expect(trains(session)).toEqual(['hidden/kernel', 'hidden/bias']);
      return Promise.resolve();
    });
  });

  test.each([true, false])(
    'a layer that a plugin puts in the place of another trains where that one does: %s',
    async (does) => {
      const model = tinyMlp();
      const logits = model.getLayer('logits');
      logits.trainable = false;
      logits.weights.forEach((weight) => ((weight as { trainable: boolean }).trainable = true));
      const replacing = plugin('replacing', {
        apply: (ctx) =>
          ctx.edit((graph) => {
            const { config } = graph.topology.config.layers.find(({ name }) => name === 'logits')!;
            const layer = tfl.layers.dense({ ...(config as { units: number }), useBias: false });
            return replaceLayer(graph, 'logits', layer, {
              kernel: graph.weights['logits/kernel']!,
            });
          }),
      });
      const trainable = (path: string) => head(path) === does;
      await withSession(open({ model, trainable, plugins: [replacing] }), (session) => {
        expect(trains(session)).toEqual(
          does ? ['logits/kernel'] : ['hidden/kernel', 'hidden/bias'],
        );
        return Promise.resolve();
      });
      disposeModel(model);
    },
  );

  test.each([
    ['a plain run', []],
    ['a run with a plugin that edits', [changing()]],
  ])('%s: a resumed run trains the same', async (_name, plugins) => {
    const store = memoryStore();
    const config = { model: tinyMlp, trainable: head, plugins };
    const due = await withSession(open(config), async (session) => {
      await session.fit({ epochs: 1 });
      await session.save(store);
      return trains(session);
    });
    const warnings: string[] = [];
    const resume = (trainable?: (path: string) => boolean) =>
      withSession(open({ ...config, ...(trainable && { trainable }) }), async (session) => {
        session.telemetry.on('warning', ({ message }) => {
          if (message.includes('checkpoint')) warnings.push(message);
        });
        await session.load({ store });
        await session.fit({ untilEpoch: 2 });
        return trains(session);
      });
    expect(await resume()).toEqual(due);
    expect(warnings).toEqual([]);
    expect(await resume((path) => path === 'logits/kernel')).not.toContain('logits/bias');
    expect(warnings).toEqual([expect.stringContaining("'logits/bias'")]);
  });

  test.each<[string, unknown, string, RegExp]>([
    ['no function', ['logits/kernel'], 'options/invalid', /trainable.*must be a function/],
    ['nothing returned', () => undefined, 'session/trainable', /'hidden\/kernel'/],
    ['a promise', () => Promise.resolve(true), 'session/trainable', /true or false/],
    [
      'one that throws',
      () => {
        throw new Error('no');
      },
      'session/trainable',
      /threw for the parameter 'hidden\/kernel': no/,
    ],
  ])('is refused: %s', async (_name, trainable, code, message) => {
    const live = liveTensors();
    const error = await refusal(() => open({ trainable: trainable as never }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(liveTensors()).toBe(live);
  });

  test('false for all is refused at the first step', async () => {
    await withSession(open({ model: tinyMlp, trainable: () => false }), async (session) => {
      const error = await refusal(() => session.fit({ epochs: 1 }));
      expect(error.code).toBe('model/frozen');
      expect(error.message).toMatch(/option trainable/);
    });
  });
});
