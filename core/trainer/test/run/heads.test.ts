import {
  arraySource,
  binaryCrossEntropy,
  crossEntropy,
  disposeModel,
  keyedRng,
  meanSquaredError,
  sgd,
} from '@espalier/core';
import type { HostArray, Loss, Session, SessionConfig } from '@espalier/core';
import { firstDifference, liveTensors, onBackend, valuesOf, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const { layers } = tfl;
type Activation = 'softmax' | 'sigmoid' | 'linear';
type Build = (x: SymbolicTensor, activation: Activation) => SymbolicTensor | SymbolicTensor[];

const apply = (layer: tfl.layers.Layer, x: SymbolicTensor) => layer.apply(x) as SymbolicTensor;
const hidden = (units = 4) => layers.dense({ units, activation: 'tanh' });
const dense = (activation: Activation, units = 3, name?: string) =>
  layers.dense({ units, activation, ...(name && { name }) });

/** Models by head, given an activation or without it, and the shape of an input. */
const HEADS: Record<string, readonly [number[], Build]> = {
  dense: [[6], (x, activation) => apply(dense(activation), apply(hidden(), x))],
  'activation layer': [
    [6],
    (x, activation) => apply(layers.activation({ activation }), apply(dense('linear'), x)),
  ],
  conv1d: [
    [5, 2],
    (x, activation) => apply(layers.conv1d({ filters: 3, kernelSize: 1, activation }), x),
  ],
  conv2d: [
    [3, 3, 2],
    (x, activation) => apply(layers.conv2d({ filters: 3, kernelSize: 1, activation }), x),
  ],
  timeDistributed: [
    [4, 2],
    (x, activation) => apply(layers.timeDistributed({ layer: dense(activation) }), x),
  ],
  'nested sequential': [
    [6],
    (x, activation) =>
      apply(
        tfl.sequential({
          layers: [layers.dense({ units: 4, inputShape: [6] }), dense(activation)],
        }),
        x,
      ),
  ],
  reshaped: [
    [4, 2],
    (x, activation) =>
      apply(layers.reshape({ targetShape: [2, 2, 3] }), apply(dense(activation), x)),
  ],
  shared: [
    [6],
    (x, activation) => {
      const head = dense(activation);
      return [apply(head, apply(hidden(), x)), apply(head, apply(hidden(), x))];
    },
  ],
};

const modelOf = (name: string, activation: Activation) => (): LayersModel => {
  const [shape, build] = HEADS[name]!;
  const x = tfl.input({ shape, name: 'x' });
  return tfl.model({ inputs: x, outputs: build(x, activation) });
};

const draw = keyedRng(0, 'heads');
const numbers = (shape: number[], of = () => draw() - 0.5): HostArray => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, of),
});

const EXAMPLES = 8;

/** A run on a model, with targets for each of its outputs. */
function config(model: () => LayersModel, loss: Loss): Partial<SessionConfig> {
  const probe = model();
  const shapes = probe.outputs.map(({ shape }) => shape.slice(1) as number[]);
  const target = (shape: number[]) =>
    loss.classIds
      ? numbers([EXAMPLES, ...shape.slice(0, -1)], () => Math.floor(3 * draw()))
      : numbers([EXAMPLES, ...shape], () => Math.round(draw()));
  const names = namesOf(probe);
  const x = numbers([EXAMPLES, ...(probe.inputs[0]!.shape.slice(1) as number[])]);
  disposeModel(probe);
  const y = Object.fromEntries(names.map((name, i) => [name, target(shapes[i]!)]));
  const source = arraySource({ x, y: names.length === 1 ? y[names[0]!]! : y, batchSize: 4 });
  const losses = Object.fromEntries(names.map((name) => [name, loss]));
  return { model, loss: names.length === 1 ? loss : losses, train: source, validation: source };
}

/** As the session names them: shared layers give `…` and `…#2`. */
function namesOf(model: LayersModel): string[] {
  return model.outputs.length === 1 ? ['output'] : ['dense_3', 'dense_3#2'];
}

async function trained(session: Session) {
  await session.fit({ epochs: 2 });
  const evaluated = await session.evaluate();
  const x = numbers([2, ...(session.model.inputs[0]!.shape.slice(1) as number[])], () => 0.3);
  const input = tf.tensor(x.data as Float32Array, [...x.shape]);
  const predicted = Object.values(await session.predict(input));
  const own = [session.model.predict(input)].flat() as tf.Tensor[];
  const exported = session.export();
  const outputs = [exported.predict(input)].flat() as tf.Tensor[];
  const values = {
    parameters: valuesOf(session.parameters()),
    predicted: predicted.map((each) => each.arraySync()),
    own: own.map((each) => each.arraySync()),
    exported: outputs.map((each) => each.arraySync()),
  };
  tf.dispose([input, predicted, own, outputs]);
  disposeModel(exported);
  return { ...values, evaluated };
}

const LOSSES = {
  softmax: { loss: crossEntropy, activate: tf.softmax },
  sigmoid: { loss: binaryCrossEntropy, activate: tf.sigmoid },
} as const;

describe.each(Object.keys(HEADS))('a head %s', (name) => {
  test.each(['softmax', 'sigmoid'] as const)('that ends in %s', async (activation) => {
    const before = liveTensors();
    const { loss, activate } = LOSSES[activation];
    const seen = new Map<string, number[]>();
    const watching = plugin('watching', {
      apply: (ctx) =>
        ctx.hooks.evaluate.tap(({ outputs }) =>
          Object.entries(outputs).forEach(([key, output]) =>
            seen.set(key, Array.from(output.dataSync())),
          ),
        ),
    });
    const shared = config(modelOf(name, activation), loss());
    const optimizer = sgd({ learningRate: 0.5 });
    const plugins = [watching];
    const ours = await withSession(open({ ...shared, optimizer, plugins }), trained);
    const mine = new Map(seen);
    const plain = { ...shared, model: modelOf(name, 'linear'), optimizer, plugins };
    const logits = await withSession(open(plain), trained);

    expect(firstDifference(ours.parameters, logits.parameters)).toBeUndefined();
    expect(ours.evaluated).toEqual(logits.evaluated);
    expect(mine).toEqual(seen);
    const squashed = tf.tidy(() =>
      logits.predicted.map((each) => activate(tf.tensor(each)).arraySync()),
    );
    expect(ours.predicted).toEqual(squashed);
    expect(ours.own).toEqual(squashed);
    expect(ours.exported).toEqual(squashed);
    expect(liveTensors()).toBe(before);
  });
});

test('two heads of two kinds, each with its loss', async () => {
  const model = (a: Activation, b: Activation) => () => {
    const x = tfl.input({ shape: [6], name: 'x' });
    const outputs = [apply(dense(a, 3, 'kind'), x), apply(dense(b, 2, 'marks'), x)];
    return tfl.model({ inputs: x, outputs });
  };
  const y = {
    kind: numbers([EXAMPLES], () => Math.floor(3 * draw())),
    marks: numbers([EXAMPLES, 2], () => Math.round(draw())),
  };
  const train = arraySource({ x: numbers([EXAMPLES, 6]), y, batchSize: 4 });
  const loss = { kind: crossEntropy(), marks: binaryCrossEntropy() };
  const run = async (a: Activation, b: Activation) =>
    withSession(open({ model: model(a, b), loss, train, validation: train }), async (session) => {
      const { history } = await session.fit({ epochs: 2 });
      return { history, parameters: valuesOf(session.parameters()) };
    });
  const [ours, logits] = [await run('softmax', 'sigmoid'), await run('linear', 'linear')];
  expect(ours.history).toEqual(logits.history);
  expect(firstDifference(ours.parameters, logits.parameters)).toBeUndefined();
});

const oneHead =
  (activation: Activation, units = 3) =>
  () =>
    tfl.sequential({
      layers: [layers.dense({ units, activation, inputShape: [6], name: 'head' })],
    });

describe('semantics tfjs', () => {
  test.each([
    ['softmax', 'categoricalCrossentropy', crossEntropy(), true],
    ['softmax', 'sparseCategoricalCrossentropy', crossEntropy(), false],
    ['sigmoid', 'binaryCrossentropy', binaryCrossEntropy(), false],
    // What no loss of ours would take by itself, but tfjs computes.
    ['sigmoid', 'categoricalCrossentropy', crossEntropy(), true],
    ['softmax', 'binaryCrossentropy', binaryCrossEntropy(), false],
  ] as const)('%s as %s', async (activation, theirs, loss, hot) => {
    const units = 3;
    const x = numbers([4, 6], () => 40 * (draw() - 0.5));
    const ids = Int32Array.from([0, 1, 2, 1]);
    const labels = tf.oneHot(tf.tensor1d(ids, 'int32'), units).dataSync();
    const dense: HostArray = { data: Float32Array.from(labels), shape: [4, units] };
    const sparse: HostArray = { data: Float32Array.from(ids), shape: [4] };
    const y = hot || !loss.classIds ? dense : sparse;
    const model = oneHead(activation, units)();
    const start = model.getWeights().map((weight) => tf.clone(weight));
    const optimizer = sgd({ learningRate: 0.5 });
    const train = arraySource({ x, y, batchSize: 4, shuffle: false });
    const run = { model, loss, train, optimizer, semantics: 'tfjs' } as const;
    const own = await withSession(open(run), async (session) => {
      const { history } = await session.fit({ epochs: 2 });
      return { parameters: valuesOf(session.parameters()), loss: history[1]!.metrics['loss'] };
    });
    model.setWeights(start);
    model.compile({ optimizer: tf.train.sgd(0.5), loss: theirs });
    const asTensor = ({ data, shape }: HostArray) => tf.tensor(data as Float32Array, [...shape]);
    const { history } = await model.fit(asTensor(x), asTensor(y), {
      epochs: 2,
      shuffle: false,
      verbose: 0,
    });
    const [kernel, bias] = model.getWeights().map((weight) => weight.dataSync());
    expect(own.parameters.get('head/kernel')).toEqual(kernel);
    expect(own.parameters.get('head/bias')).toEqual(bias);
    expect(own.loss).toBeCloseTo(history['loss']![1] as number, 6);
  });
});

test.each(['espalier', 'tfjs'] as const)(
  'steps of weight 0 count for nothing, by %s',
  (semantics) =>
    withSession(
      open({ model: modelOf('timeDistributed', 'softmax'), loss: crossEntropy(), semantics }),
      async (session) => {
        const at = async (label: number) => {
          const y = tf.tensor2d([[0, 1, 2, label]]);
          const raw = { x: tf.ones([1, 4, 2]), y, weights: tf.tensor2d([[1, 1, 1, 0]]) };
          return session.objective(await session.batch(raw, 'a')).dataSync()[0]!;
        };
        expect(await at(0)).toBe(await at(2));
        expect(await at(0)).toBeGreaterThan(0);
      },
    ),
);

describe('a loss that does not fit the head is refused,', () => {
  const refused = (model: () => LayersModel, loss: Loss, more: Partial<SessionConfig> = {}) =>
    refusal(() => open({ model, loss, ...more }));
  const behind =
    (layer: tfl.layers.Layer, activation: Activation = 'softmax') =>
    () =>
      tfl.sequential({
        layers: [layers.dense({ units: 3, activation, inputShape: [6], name: 'head' }), layer],
      });
  const rnn = (activation: 'softmax' | 'sigmoid') => () =>
    tfl.sequential({
      layers: [layers.simpleRNN({ units: 3, activation, inputShape: [2, 3], name: 'head' })],
    });

  test.each<[string, () => LayersModel, Loss, string, RegExp]>([
    [
      'logits of softmax',
      oneHead('softmax'),
      crossEntropy({ from: 'logits' }),
      'loss/from',
      /'head' ends in the activation softmax.*Leave from out/s,
    ],
    [
      'logits of sigmoid',
      oneHead('sigmoid'),
      binaryCrossEntropy({ from: 'logits' }),
      'loss/from',
      /'head' ends in the activation sigmoid/,
    ],
    [
      'probabilities of nothing',
      oneHead('linear'),
      crossEntropy({ from: 'probabilities' }),
      'loss/from',
      /'head'.*no probabilities/,
    ],
    [
      'probabilities of a relu',
      oneHead('relu' as never),
      crossEntropy({ from: 'probabilities' }),
      'loss/from',
      /activation relu/,
    ],
    [
      'probabilities of a tanh',
      oneHead('tanh' as never),
      binaryCrossEntropy({ from: 'probabilities' }),
      'loss/from',
      /activation tanh/,
    ],
    [
      'softmax for bits',
      oneHead('softmax'),
      binaryCrossEntropy(),
      'loss/head',
      /'head'.*softmax.*Use crossEntropy\(\)/s,
    ],
    [
      'sigmoid for classes',
      oneHead('sigmoid'),
      crossEntropy(),
      'loss/head',
      /'head'.*sigmoid.*Use binaryCrossEntropy\(\)/s,
    ],
    [
      'one unit',
      oneHead('linear', 1),
      crossEntropy(),
      'loss/one-unit',
      /one unit.*binaryCrossEntropy\(\)/s,
    ],
    ['one softmax unit', oneHead('softmax', 1), crossEntropy(), 'loss/one-unit', /one unit/],
    [
      'dropout behind',
      behind(layers.dropout({ rate: 0.1 })),
      crossEntropy(),
      'loss/head',
      /logits cannot be computed/,
    ],
    ['hardSigmoid', oneHead('hardSigmoid' as never), binaryCrossEntropy(), 'loss/head', /'head'/],
    [
      'an RNN of softmax',
      rnn('softmax'),
      crossEntropy(),
      'loss/head',
      /'head'.*cannot be computed/,
    ],
    [
      'an RNN of sigmoid',
      rnn('sigmoid'),
      binaryCrossEntropy(),
      'loss/head',
      /from: 'probabilities'/,
    ],
  ])('%s', async (_name, model, loss, code, message) => {
    const error = await refused(model, loss);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('and so are options that no loss has', () => {
    expect(() => crossEntropy({ form: 'logits' } as never)).toThrow(/Did you mean 'from'/);
    expect(() => binaryCrossEntropy({ from: 'logit' } as never)).toThrow(/option 'from'/);
    expect(() => meanSquaredError({ from: 'logits' } as never)).toThrow(/unknown option 'from'/);
  });

  test('unless it is told to take the probabilities as they are', async () => {
    const models = [rnn('softmax'), behind(layers.dropout({ rate: 0.1 })), oneHead('sigmoid')];
    for (const model of models) {
      const loss = crossEntropy({ from: 'probabilities' });
      await (await open({ model, loss })).dispose();
    }
  });

  test('a shared head with losses of two kinds', async () => {
    const loss = { dense_3: crossEntropy(), 'dense_3#2': meanSquaredError() };
    const error = await refused(modelOf('shared', 'softmax'), crossEntropy(), { loss });
    expect(error.code).toBe('loss/shared-head');
  });
});

test('inspect says what each loss takes, and what the run leaves out', async () => {
  const inspected = (model: () => LayersModel, loss: Loss) =>
    withSession(open({ model, loss }), (session) => Promise.resolve(session.inspect().losses));
  expect(await inspected(oneHead('softmax'), crossEntropy())).toEqual({
    head: { name: 'cross-entropy', from: 'logits', without: 'softmax' },
  });
  expect(await inspected(oneHead('linear'), binaryCrossEntropy())).toEqual({
    head: { name: 'binary-cross-entropy', from: 'logits' },
  });
  expect(await inspected(oneHead('sigmoid'), meanSquaredError())).toEqual({
    head: { name: 'mean-squared-error' },
  });
});

describe('a loss of one’s own', () => {
  const own = (more: Partial<Loss> = {}): Loss => ({
    name: 'own',
    classIds: true,
    perExample: (output) => tf.sum(output, -1),
    metrics: () => ({}),
    ...more,
  });
  const total = (loss: Loss) =>
    withSession(open({ model: oneHead('softmax'), loss }), async (session) => {
      const batch = await session.batch({ x: tf.ones([2, 6]), y: tf.tensor1d([0, 1]) }, 'a');
      return session.objective(batch).dataSync()[0]!;
    });

  test('gets what the model gives, or the logits if it says so', async () => {
    expect(await total(own())).toBeCloseTo(1, 5);
    expect(await total(own({ from: 'probabilities' }))).toBeCloseTo(1, 5);
    expect(Math.abs((await total(own({ from: 'logits' }))) - 1)).toBeGreaterThan(1e-2);
  });

  test('that wants probabilities of a head without them is refused', async () => {
    const loss = own({ from: 'probabilities' });
    const error = await refusal(() => open({ model: oneHead('linear'), loss }));
    expect(error.code).toBe('loss/from');
  });
});

test.each<[string, Loss, HostArray]>([
  ['numbers', meanSquaredError(), numbers([4, 2, 3])],
  ['class ids', crossEntropy(), { shape: [4, 2], data: new Int32Array(8) }],
])('an output of another shape than its layer declares is refused: %s', async (_name, loss, y) => {
  const options = { filters: 2, kernelSize: 1, inputShape: [3, 3] };
  const conv1d = layers.conv1d({ ...options, dataFormat: 'channelsFirst' });
  const model = tfl.sequential({ layers: [conv1d] });
  const train = arraySource({ x: numbers([4, 3, 3]), y, batchSize: 4 });
  await withSession(open({ model, loss, train }), async (session) => {
    for (const work of [() => session.evaluate(train), () => session.fit({ epochs: 1 })]) {
      const error = await refusal(work);
      expect(error.code).toBe('model/output-shape');
      expect(error.message).toMatch(/\[4, 3, 2\].*\[batch, 2, 3\].*channelsLast/s);
    }
  });
});
