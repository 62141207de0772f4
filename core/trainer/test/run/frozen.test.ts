import { addOutput, arraySource, createSession, meanSquaredError, sgd } from '@espalier/core';
import type { Plugin, Session, SessionConfig } from '@espalier/core';
import { onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { plugin } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const { layers } = tfl;
const STEPS = 5;
const RATE = 0.1;

const norm = (options: object = {}) => layers.batchNormalization({ momentum: 0.5, ...options });
const head = () => layers.dense({ name: 'head', units: 1 });

function inModel(inner: LayersModel, freeze: () => void): LayersModel {
  const input = tfl.input({ shape: [3] });
  const features = inner.apply(input) as tfl.SymbolicTensor;
  freeze();
  return tfl.model({ inputs: input, outputs: head().apply(features) as tfl.SymbolicTensor });
}

const base = (layer = norm({ inputShape: [3] })) => tfl.sequential({ layers: [layer] });

/** Where a batch normalization can be frozen; each model has nothing else that is. */
const places: Readonly<Record<string, () => LayersModel>> = {
  'a layer': () =>
    tfl.sequential({ layers: [norm({ inputShape: [3], trainable: false }), head()] }),
  'a layer without scale': () =>
    tfl.sequential({
      layers: [norm({ inputShape: [3], trainable: false, scale: false }), head()],
    }),
  'a layer along another axis': () =>
    tfl.sequential({
      layers: [
        layers.reshape({ targetShape: [3, 1], inputShape: [3] }),
        norm({ axis: 1, trainable: false }),
        layers.flatten(),
        head(),
      ],
    }),
  'a layer of a frozen model': () => {
    const inner = base();
    return inModel(inner, () => void (inner.trainable = false));
  },
  'a layer without weights of a frozen model': () => {
    const inner = base(norm({ inputShape: [3], scale: false, center: false }));
    return inModel(inner, () => void (inner.trainable = false));
  },
  'a layer of a model in a frozen model': () => {
    const outer = tfl.sequential({ layers: [base()] });
    return inModel(outer, () => void (outer.trainable = false));
  },
  'a layer in TimeDistributed': () =>
    tfl.sequential({
      layers: [
        layers.timeDistributed({ layer: norm({ trainable: false }), inputShape: [1, 3] }),
        layers.flatten(),
        head(),
      ],
    }),
};

const EXAMPLES = 6;
const waves = (size: number, by: number) =>
  Float32Array.from({ length: size }, (_, i) => 2 + 3 * Math.sin(by * i));

function dataFor(model: LayersModel) {
  const inputShape = model.inputs[0]!.shape.slice(1) as number[];
  return {
    x: { data: waves(EXAMPLES * 3, 1.3), shape: [EXAMPLES, ...inputShape] },
    y: { data: waves(EXAMPLES, 0.7), shape: [EXAMPLES, 1] },
  };
}

function makeFrozen(place: string, initial: tf.Tensor[] = []): LayersModel {
  const model = places[place]!();
  if (initial.length > 0) model.setWeights(initial);
  return model;
}

const open = (model: LayersModel, more: Partial<SessionConfig> = {}): Promise<Session> =>
  createSession({
    model,
    loss: meanSquaredError(),
    optimizer: sgd({ learningRate: RATE }),
    train: arraySource({ ...dataFor(model), batchSize: EXAMPLES, shuffle: false }),
    ...more,
  });

const valuesIn = (weights: readonly tf.Tensor[]) => weights.flatMap((w) => [...w.dataSync()]);

async function trained(model: LayersModel, more: Partial<SessionConfig> = {}) {
  return withSession(open(model, more), async (session) => {
    await session.fit({ epochs: STEPS });
    const statistics = Object.entries(session.parameters())
      .filter(([path]) => path.includes('moving'))
      .map(([, value]) => value);
    const weights = Object.values(session.parameters());
    return { statistics: valuesIn(statistics), weights: valuesIn(weights) };
  });
}

/** The slow reference: no layer is in training. */
function trainedAsInference(model: LayersModel): number[] {
  const { x, y } = dataFor(model);
  const weights = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const loss = () => {
    const output = model.apply(tf.tensor(x.data, x.shape), { training: false }) as tf.Tensor;
    return tf.mean(tf.squaredDifference(output, tf.tensor(y.data, y.shape))) as tf.Scalar;
  };
  const optimizer = tf.train.sgd(RATE);
  for (let step = 0; step < STEPS; step++) optimizer.minimize(loss, false, weights);
  return valuesIn(model.getWeights());
}

async function trainedByTfjs(model: LayersModel): Promise<number[]> {
  const { x, y } = dataFor(model);
  model.compile({ optimizer: tf.train.sgd(RATE), loss: 'meanSquaredError' });
  const how = { epochs: STEPS, batchSize: EXAMPLES, shuffle: false, verbose: 0 as const };
  await model.fit(tf.tensor(x.data, x.shape), tf.tensor(y.data, y.shape), how);
  return valuesIn(model.getWeights());
}

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const closeTo = (values: readonly number[]) =>
  sorted(values).map((value) => expect.closeTo(value, 5) as number);

describe.each(Object.keys(places))('a batch normalization that is frozen as %s', (place) => {
  const initial = () => makeFrozen(place).getWeights();

  test('takes its moving statistics and leaves them alone', async () => {
    const start = initial();
    const { statistics, weights } = await trained(makeFrozen(place, start));
    expect(sorted(statistics)).toEqual([0, 0, 0, 1, 1, 1]);
    expect(sorted(weights)).toEqual(closeTo(trainedAsInference(makeFrozen(place, start))));
  });

  test('keeps to that in a model that an edit built again', async () => {
    const exit: Plugin = plugin('exit', {
      apply: (ctx) => ctx.edit((graph) => addOutput(graph, ctx.model.layers.at(-2)!.name)),
    });
    const { statistics } = await trained(makeFrozen(place), { plugins: [exit] });
    expect(sorted(statistics)).toEqual([0, 0, 0, 1, 1, 1]);
  });

  test("under 'tfjs' drifts as in LayersModel.fit", async () => {
    const start = initial();
    const { statistics, weights } = await trained(makeFrozen(place, start), { semantics: 'tfjs' });
    expect(sorted(statistics)).not.toEqual([0, 0, 0, 1, 1, 1]);
    expect(sorted(weights)).toEqual(closeTo(await trainedByTfjs(makeFrozen(place, start))));
  });
});

test("a plugin's own network that is frozen keeps its statistics too", () => {
  const teacher = plugin('teacher', {
    apply(ctx) {
      const network = ctx.addNetwork(() => {
        const model = base();
        model.trainable = false;
        return model;
      });
      ctx.hooks.loss.tap(({ batch, terms, mean }) => {
        const [made] = Object.values(network.execute(batch.inputs));
        terms.add('size', mean(tf.sum(tf.square(made!), -1) as tf.Tensor1D));
      });
    },
  });
  const model = tfl.sequential({ layers: [layers.dense({ units: 1, inputShape: [3] })] });
  return withSession(open(model, { plugins: [teacher] }), async (session) => {
    const names = session.inspect().parameters.map(({ path }) => path);
    const moving = names.filter((path) => path.startsWith('teacher:') && path.includes('moving'));
    await session.fit({ epochs: 2 });
    const live = session.parameters();
    expect(valuesIn(moving.map((path) => live[path]!)).sort()).toEqual([0, 0, 0, 1, 1, 1]);
  });
});

test('dropout that is frozen goes on dropping, as in Keras and tfjs', () => {
  const model = tfl.sequential({
    layers: [layers.dropout({ rate: 0.5, inputShape: [3], trainable: false }), head()],
  });
  return withSession(open(model), async (session) => {
    const { x, y } = dataFor(model);
    const raw = { x: tf.tensor(x.data, x.shape), y: tf.tensor(y.data, y.shape) };
    const batch = await session.batch(raw, 'b');
    const value = () => session.objective(batch, { rng: 'fresh' }).dataSync()[0];
    expect(value()).not.toBe(value());
  });
});
