import { disposeModel, memoryStore, replaceLayer, sgd } from '@espalier/core';
import type { ModelGraph, Plugin, Session } from '@espalier/core';
import {
  firstDifference,
  liveTensors,
  onBackend,
  tinyMlp,
  tinyNoisyMlp,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { changing, open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const { layers } = tfl;

/** Weights by layer and position, values and variables. */
function weightsOf(model: LayersModel, layer: string): number[][] {
  return model
    .getLayer(layer)
    .getWeights()
    .map((weight) => [...weight.dataSync()]);
}

/** In each transform, puts a layer without bias, half as large, in a dense layer's place. */
function halving(layer: string): Plugin {
  const halve = (graph: ModelGraph): ModelGraph => {
    const kernel = tf.mul(graph.weights[`${layer}/kernel`]!, 0.5);
    const units = kernel.shape[1]!;
    const half = layers.dense({ units, useBias: false });
    return replaceLayer(graph, layer, half, { kernel });
  };
  return plugin('halving', {
    apply: (ctx) => ctx.hooks.transform.tap(() => tf.tidy(() => void ctx.edit(halve))),
  });
}

const nested = () =>
  tfl.sequential({
    layers: [
      layers.dense({ name: 'first', units: 5, inputShape: [6] }),
      tfl.sequential({ name: 'hidden', layers: [layers.dense({ units: 5, inputShape: [5] })] }),
      layers.batchNormalization({ name: 'norm' }),
      layers.dense({ name: 'logits', units: 3 }),
    ],
  });

const sharing = () => {
  const input = tfl.input({ shape: [6] });
  const hidden = layers.dense({ name: 'twice', units: 6 });
  const once = hidden.apply(input) as SymbolicTensor;
  const end = layers.dense({ name: 'hidden', units: 4 }).apply(hidden.apply(once));
  const logits = layers.dense({ name: 'logits', units: 3 }).apply(end) as SymbolicTensor;
  return tfl.model({ inputs: input, outputs: logits });
};

const MODELS: Readonly<Record<string, () => LayersModel>> = {
  'of plain layers': tinyMlp,
  'with statistics and dropout': tinyNoisyMlp,
  'with a nested model': nested,
  'with a shared layer': sharing,
};

const own = (session: Session, model: LayersModel) =>
  valuesOf(
    Object.fromEntries(
      Object.entries(session.parameters()).filter(([path]) =>
        model.layers.some(({ name }) => path.startsWith(`${name}/`)),
      ),
    ),
  );

const snapshot = (model: LayersModel) => model.getWeights().map((weight) => [...weight.dataSync()]);

describe('a model that is given itself, of which plugins change the structure:', () => {
  test.each(Object.entries(MODELS))(
    '%s: it trains in place, to the same bits as a copy',
    async (_name, make) => {
      const model = make();
      const before = snapshot(model);
      const live = liveTensors();
      const run = (given: LayersModel | (() => LayersModel)) =>
        withSession(open({ model: given, plugins: [changing()] }), async (session) => {
          await session.fit({ epochs: 1 });
          await session.transform();
          await session.fit({ epochs: 1 });
          return own(session, model);
        });
      const copied = await run(() => model);
      expect(snapshot(model)).toEqual(before);
      const trained = await run(model);
      expect(firstDifference(trained, copied)).toBeUndefined();
      const inPlace = [...trained.values()].map((values) => [...values]);
      expect(inPlace).toEqual(expect.arrayContaining(snapshot(model)));
      expect(snapshot(model)).not.toEqual(before);
      expect(liveTensors()).toBe(live);
      disposeModel(model);
    },
  );

  test('a layer that a transform replaces keeps its last values; the others go on', async () => {
    const model = tinyMlp();
    const live = liveTensors();
    await withSession(open({ model, plugins: [halving('logits')] }), async (session) => {
      await session.fit({ epochs: 1 });
      const last = snapshot(model);
      await session.transform();
      await session.fit({ epochs: 1 });
      await session.transform();
      await session.fit({ epochs: 1 });
      expect(weightsOf(model, 'logits')).toEqual(last.slice(2));
      expect(weightsOf(model, 'hidden')).not.toEqual(last.slice(0, 2));
      expect(weightsOf(model, 'hidden')).toEqual(weightsOf(session.model, 'hidden'));
    });
    expect(liveTensors()).toBe(live);
    disposeModel(model);
  });

  test('values that the caller sets are taken over', async () => {
    const model = tinyMlp();
    await withSession(open({ model, plugins: [changing()] }), (session) => {
      tf.tidy(() => model.getLayer('hidden').setWeights([tf.ones([6, 8]), tf.ones([8])]));
      expect(weightsOf(session.model, 'hidden')[1]).toEqual(Array(8).fill(1));
      return Promise.resolve();
    });
    disposeModel(model);
  });

  test('an edit that is refused leaves values, flags and tensors', async () => {
    const model = tinyMlp();
    model.layers[0]!.trainable = false;
    const before = snapshot(model);
    const live = liveTensors();
    const breaking = plugin('breaking', {
      apply: (ctx) =>
        tf.tidy(() =>
          ctx.edit((graph) => replaceLayer(graph, 'logits', layers.dense({ units: 3 }), {})),
        ),
    });
    const error = await refusal(() =>
      open({ model, plugins: [breaking, changing('late', 'nowhere')] }),
    );
    expect(error.code).toBe('model/unknown-layer');
    expect(snapshot(model)).toEqual(before);
    const variables = model.weights.map((weight) => weight.read() as tf.Variable);
    expect(variables.map(({ trainable }) => trainable)).toEqual([true, true, false, false]);
    expect(liveTensors()).toBe(live);
    disposeModel(model);
  });

  test('two sessions on one model train it by turns, and leave it whole', async () => {
    const model = tinyMlp();
    const live = liveTensors();
    const config = { model, plugins: [changing()] };
    const first = await open(config);
    await withSession(open(config), async (second) => {
      await first.fit({ epochs: 1 });
      await second.fit({ epochs: 1 });
      expect(weightsOf(first.model, 'hidden')).toEqual(weightsOf(second.model, 'hidden'));
    });
    await first.fit({ epochs: 1 });
    await first.dispose();
    expect(liveTensors()).toBe(live);
    tf.tidy(() => void model.predict(tf.ones([1, 6])));
    disposeModel(model);
  });

  test('the model is disposed first: as long as the session needs the variables they live', async () => {
    const live = liveTensors();
    const model = tinyMlp();
    await withSession(open({ model, plugins: [changing()] }), async (session) => {
      disposeModel(model);
      await session.fit({ epochs: 1 });
    });
    expect(liveTensors()).toBe(live);
  });

  test('its weights are disposed by tfjs first: the session says so, and ends', async () => {
    const live = liveTensors();
    const model = tinyMlp();
    await withSession(open({ model, plugins: [changing()] }), async (session) => {
      model.dispose();
      expect((await refusal(() => session.fit({ epochs: 1 }))).code).toBe('model/disposed');
    });
    expect(liveTensors()).toBe(live);
  });

  test('session.model is disposed by tfjs: the caller’s layers live', async () => {
    const model = tinyMlp();
    const session = await open({ model, plugins: [changing()] });
    session.model.dispose();
    tf.tidy(() => void model.predict(tf.ones([1, 6])));
    await session.dispose();
    disposeModel(model);
  });

  test.each<[string, readonly Plugin[]]>([
    ['edited at setup', [changing()]],
    ['transformed', [changing(), halving('logits')]],
  ])('resumes from a checkpoint, %s', async (_name, plugins) => {
    const [model, again] = [tinyNoisyMlp(), tinyNoisyMlp()];
    const store = memoryStore();
    const live = liveTensors();
    const due = await withSession(open({ model, plugins }), async (session) => {
      await session.fit({ epochs: 1 });
      await session.transform();
      await session.fit({ epochs: 1 });
      await session.save(store);
      await session.fit({ epochs: 1 });
      return valuesOf(session.parameters());
    });
    await withSession(open({ model: again, plugins }), async (session) => {
      await session.load({ store });
      await session.fit({ epochs: 1 });
      expect(firstDifference(valuesOf(session.parameters()), due)).toBeUndefined();
      for (const name of ['hidden', 'norm']) {
        expect(weightsOf(again, name)).toEqual(weightsOf(session.model, name));
        expect(weightsOf(again, name)).toEqual(weightsOf(model, name));
      }
    });
    expect(liveTensors()).toBe(live);
    [model, again].forEach(disposeModel);
  });

  test('a load that fails gives the replaced layers their variables back', async () => {
    const [model, again] = [tinyMlp(), tinyMlp()];
    const store = memoryStore();
    const failing = (fails: boolean) =>
      plugin('failing', {
        stateless: false,
        apply: (ctx) =>
          ctx.keepState({
            version: 1,
            save: () => ({}),
            load: () => {
              if (fails) throw new Error('not this one');
            },
          }),
      });
    const plugins = (fails: boolean) => [halving('logits'), failing(fails)];
    await withSession(open({ model, plugins: plugins(false) }), async (session) => {
      await session.transform();
      await session.save(store);
    });
    const before = snapshot(again);
    await withSession(open({ model: again, plugins: plugins(true) }), async (session) => {
      await refusal(() => session.load({ store })).catch(() => undefined);
      expect(snapshot(again)).toEqual(before);
      await session.fit({ epochs: 1 });
      expect(snapshot(again)).toEqual(snapshot(session.model));
      expect(snapshot(again)).not.toEqual(before);
    });
    [model, again].forEach(disposeModel);
  });
});

describe('trainable on the layers of a model that is given itself, of which plugins train an edited one:', () => {
  const config = { optimizer: sgd({ learningRate: 0.1 }), train: tinySource({ batchSize: 24 }) };
  const trains = (session: Session) => Object.keys(session.parameters({ trainable: true }));
  const ADDED = ['spare_0/kernel', 'spare_0/bias'];

  test.each(Object.entries(MODELS))(
    '%s: false on the whole model freezes its layers, not those that plugins added',
    async (_name, make) => {
      const model = make();
      await withSession(open({ ...config, model, plugins: [changing()] }), async (session) => {
        const all = trains(session);
        model.trainable = false;
        expect(trains(session)).toEqual(ADDED);
        await session.fit({ epochs: 1 });
        model.trainable = true;
        expect(trains(session)).toEqual(all);
      });
      model.trainable = false;
      await withSession(open({ ...config, model, plugins: [changing()] }), (session) => {
        expect(trains(session)).toEqual(ADDED);
        model.trainable = true;
        expect(trains(session).length).toBeGreaterThan(ADDED.length);
        return Promise.resolve();
      });
      disposeModel(model);
    },
  );

  test('is set on a layer that a plugin replaced: the run says that it has no effect', async () => {
    const model = tinyMlp();
    await withSession(open({ model, plugins: [halving('logits')] }), async (session) => {
      const warnings: string[] = [];
      session.telemetry.on('warning', ({ message }) => warnings.push(message));
      await session.transform();
      model.getLayer('logits').trainable = false;
      model.getLayer('hidden').trainable = false;
      expect(trains(session)).toEqual(['logits/kernel']);
      expect(warnings).toEqual([expect.stringMatching(/set on 'logits' of the model.*replaced/)]);
    });
    disposeModel(model);
  });

  test('what a plugin froze in the edited model is free again after dispose', async () => {
    const model = tinyMlp();
    const variables = model.weights.map((weight) => weight.read() as tf.Variable);
    const freezing = plugin('freezing', {
      apply(ctx) {
        ctx.edit((graph) => graph);
        ctx.model.layersModel.layers.forEach((layer) => (layer.trainable = false));
      },
    });
    await withSession(open({ model, plugins: [changing(), freezing] }), (session) => {
      expect(trains(session)).toEqual([]);
      expect(variables.some(({ trainable }) => trainable)).toBe(false);
      return Promise.resolve();
    });
    expect(variables.every(({ trainable }) => trainable)).toBe(true);
    disposeModel(model);
  });
});
