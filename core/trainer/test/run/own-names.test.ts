import {
  appendLayers,
  crossEntropy,
  disposeModel,
  extractGraph,
  Network,
  toCanonicalName,
  viewModel,
} from '@espalier/core';
import type { Session } from '@espalier/core';
import { onBackend, tinyData, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const { layers } = tfl;

/** Without any name; made after others, so that automatic names do not begin at 1. */
function unnamed(): LayersModel {
  return tfl.sequential({
    layers: [layers.dense({ units: 5, inputShape: [6] }), layers.dense({ units: 3 })],
  });
}

function twoOutputs(): LayersModel {
  const input = tfl.input({ shape: [6] });
  const outputs = [3, 2].map((units) => layers.dense({ units }).apply(input) as SymbolicTensor);
  return tfl.model({ inputs: input, outputs });
}

/** Two models in one whose automatic names are one step behind their canonical ones. */
function crossed(): LayersModel {
  const nest = (name: string) =>
    tfl.sequential({ name, layers: [layers.dense({ units: 6, inputShape: [6] })] });
  const all = [nest('sequential_2'), nest('sequential_3')];
  const input = tfl.input({ shape: [6] });
  const end = all.reduce((x, model) => model.apply(x) as SymbolicTensor, input);
  const logits = layers.dense({ name: 'logits', units: 3 }).apply(end) as SymbolicTensor;
  return tfl.model({ inputs: input, outputs: logits });
}

/** Notes which layers give features, and puts an output behind a layer, by whatever names. */
const using = (layer: string, seen: string[] = []) =>
  plugin('using', {
    apply(ctx) {
      ctx.edit((graph) =>
        appendLayers(graph, {
          after: layer,
          layers: [layers.dense({ name: 'spare', units: 2 })],
          output: true,
        }),
      );
      ctx.requestFeatures([layer]);
      ctx.hooks.loss.tap(({ features }) => void seen.push(String(features[layer]!.shape)));
      ctx.hooks.transform.tap(() => ctx.edit((graph) => graph));
    },
  });

const outputsOf = (session: Session) => viewModel(session.model).outputNames;

describe('layers are found by the names that they have in the user’s own model:', () => {
  test.each<[string, (model: LayersModel) => LayersModel | (() => LayersModel)]>([
    ['given itself', (model) => model],
    ['given by a function, copied', (model) => () => model],
  ])('a model that is %s', async (_name, give) => {
    const model = unnamed();
    const first = model.layers[0]!.name;
    expect(first).toMatch(/^dense_Dense\d+$/);
    const seen: string[] = [];
    await withSession(
      open({ model: give(model), plugins: [using(first, seen)] }),
      async (session) => {
        await session.fit({ epochs: 1 });
        await session.transform();
        await session.fit({ epochs: 1 });
        expect(new Set(seen)).toEqual(new Set(['6,5']));
        const exported = session.export({ outputs: [model.layers[1]!.name, 'spare'] });
        expect(viewModel(exported).outputNames).toEqual(['dense_2', 'spare']);
        disposeModel(exported);
      },
    );
    disposeModel(model);
  });

  test('a function that makes it', async () => {
    let first = '';
    const model = () => {
      const made = unnamed();
      first = made.layers[0]!.name;
      return made;
    };
    const late = plugin('late', { apply: (ctx) => using(first).apply(ctx) });
    await withSession(open({ model, plugins: [late] }), (session) => {
      expect(outputsOf(session)).toEqual(['dense_2', 'spare']);
      return Promise.resolve();
    });
  });

  test('losses', async () => {
    const model = twoOutputs();
    const [one, two] = model.outputNames as [string, string];
    const loss = { [one]: crossEntropy(), dense_2: crossEntropy() };
    await withSession(open({ model, loss, train: undefined }), (session) => {
      expect(session.inspect().outputs).toEqual(['dense_1', 'dense_2']);
      return Promise.resolve();
    });
    const twice = { [one]: crossEntropy(), dense_1: crossEntropy(), [two]: crossEntropy() };
    const error = await refusal(() => open({ model, loss: twice }));
    expect(error.code).toBe('session/loss');
    expect(error.message).toMatch(/two losses for the output 'dense_1'/);
    disposeModel(model);
  });

  test('batches, for a step and a prediction', async () => {
    const model = twoOutputs();
    const [one, two] = model.outputNames as [string, string];
    const loss = { dense_1: crossEntropy(), dense_2: crossEntropy() };
    const y = tf.tensor1d([0, 1], 'int32');
    await withSession(open({ model, loss, train: undefined }), async (session) => {
      const x = { [model.inputNames[0]!]: tf.ones([2, 6]) };
      const { terms } = await session.step({ x, y: { [one]: y, [two]: y } });
      expect(Object.keys(terms)).toEqual([
        'task/dense_1/cross-entropy',
        'task/dense_2/cross-entropy',
      ]);
      tf.dispose(await session.predict(x));
      const wrong = { x, y: { [one]: y, dense_9: y } };
      expect((await refusal(() => session.step(wrong))).code).toBe('batch/targets');
    });
    disposeModel(model);
  });

  test('without a session: graphs, features', () => {
    const model = unnamed();
    const after = model.layers[0]!.name;
    const graph = appendLayers(extractGraph(model), { after, layers: [layers.flatten()] });
    expect(graph.topology.config.layers.at(-1)!.inboundNodes[0]![0]![0]).toBe('dense_1');
    const { features } = tf.tidy(() => {
      const { x } = tinyData({ examples: 2 });
      const inputs = { input_1: tf.tensor(x.data, [2, 6]) };
      const made = new Network(model).execute(inputs, { training: false, features: [after] });
      return { features: Object.keys(made.features) };
    });
    expect(features).toEqual([after]);
    disposeModel(model);
  });

  test('a name that is canonical of one layer and own of another is refused where a user says it', () => {
    const model = crossed();
    const view = viewModel(model);
    const known = view.layers.map(({ name }) => name);
    expect(known).toEqual(['input_1', 'sequential_1', 'sequential_2', 'logits']);
    expect(toCanonicalName('sequential_3', known, view.ownNames)).toBe('sequential_2');
    expect(toCanonicalName('sequential_1', known, view.ownNames)).toBe('sequential_1');
    expect(() => toCanonicalName('sequential_2', known, view.ownNames)).toThrow(
      expect.objectContaining({ code: 'model/ambiguous-name' }) as Error,
    );
    disposeModel(model);
  });

  test('a name that nothing has is refused with the known ones', async () => {
    const error = await refusal(() => open({ plugins: [using('dense_Dense9999')] }));
    expect(error.code).toBe('model/unknown-layer');
    expect(error.message).toMatch(/hidden, .*logits/);
  });
});
