import {
  arraySource,
  binaryCrossEntropy,
  createSession,
  crossEntropy,
  meanPerExample,
  meanSquaredError,
  sgd,
} from '@espalier/core';
import type { HostArray, Loss, SessionConfig } from '@espalier/core';
import { directional, onBackend, tensorsLeakedBy, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { layerClasses } from './layer-classes.js';
import { plugin, refusal } from './sessions.js';

beforeAll(() => onBackend('cpu'));

const { layers } = tfl;
const [EXAMPLES, TIME, WORDS, UNITS] = [4, 3, 5, 3];

/** Padded behind; the last example is nothing but padding. */
const ids = [
  [1, 2, 3],
  [4, 0, 0],
  [2, 1, 0],
  [0, 0, 0],
];
const real: number[][] = ids.map((row) => row.map((id) => (id === 0 ? 0 : 1)));

const words = (): HostArray => ({ data: Float32Array.from(ids.flat()), shape: [EXAMPLES, TIME] });
const waves = (size: number, by = 1.7) =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(by * i + 0.4));

const embedding = (options: object = {}) =>
  layers.embedding({
    inputDim: WORDS,
    outputDim: UNITS,
    inputLength: TIME,
    maskZero: true,
    embeddingsInitializer: 'glorotUniform',
    ...options,
  });

/** A sequence model with these layers between a masking embedding and its outputs. */
const sequence = (...between: readonly tfl.layers.Layer[]) =>
  tfl.sequential({ layers: [embedding(), ...between] });

const values: HostArray = {
  data: waves(EXAMPLES * TIME * UNITS),
  shape: [EXAMPLES, TIME, UNITS],
};
const classes: HostArray = {
  data: Int32Array.from({ length: EXAMPLES * TIME }, (_, i) => (i * 2) % UNITS),
  shape: [EXAMPLES, TIME],
};
const flags: HostArray = { ...values, data: values.data.map((v) => Number(v > 0)) };

const open = (model: LayersModel, loss: Loss, y: HostArray, more: Partial<SessionConfig> = {}) =>
  createSession({
    model,
    loss,
    optimizer: sgd({ learningRate: 0.1 }),
    train: arraySource({ x: words(), y, batchSize: EXAMPLES, shuffle: false }),
    ...more,
  });

const wordTensor = () => tf.tensor(words().data, [EXAMPLES, TIME]);
const rowsOf = (tensor: tf.Tensor) => tensor.arraySync() as number[][][];

/** The mean over the real steps of each example, then over the examples that have any. */
function slowMean(perStep: readonly (readonly number[])[], steps = real): number {
  const means = perStep.flatMap((row, i) => {
    const count = steps[i]!.reduce((a, b) => a + b, 0);
    return count === 0 ? [] : [row.reduce((sum, v, t) => sum + v * steps[i]![t]!, 0) / count];
  });
  return means.reduce((a, b) => a + b, 0) / means.length;
}

const logSoftmax = (row: readonly number[]) => {
  const sum = Math.log(row.reduce((a, b) => a + Math.exp(b), 0));
  return row.map((v) => v - sum);
};
const sum = (row: readonly number[]) => row.reduce((a, b) => a + b, 0);
const mean = (row: readonly number[]) => sum(row) / row.length;

interface Rule {
  readonly name: string;
  readonly loss: () => Loss;
  readonly y: HostArray;
  /** Loss and metrics of one step, by the output's row and the target's. */
  readonly step: (output: readonly number[], target: readonly number[]) => Record<string, number>;
}

/** A loss of one's own that takes part. */
const absolute = (): Loss => ({
  name: 'absolute',
  classIds: false,
  weighsSteps: true,
  perExample: (o, t, steps) => meanPerExample(tf.abs(tf.sub(o, t)), steps),
  metrics: (o, t, steps) => ({ largest: meanPerExample(tf.max(tf.abs(tf.sub(o, t)), -1), steps) }),
});

const rules: readonly Rule[] = [
  {
    name: 'crossEntropy',
    loss: crossEntropy,
    y: classes,
    step: (o, [id]) => ({
      loss: -logSoftmax(o)[id!]!,
      accuracy: Number(o.indexOf(Math.max(...o)) === id),
    }),
  },
  {
    name: 'binaryCrossEntropy',
    loss: binaryCrossEntropy,
    y: flags,
    step: (o, t) => ({
      loss: mean(o.map((v, i) => Math.log(1 + Math.exp(v)) - t[i]! * v)),
      accuracy: mean(o.map((v, i) => Number(v > 0 === t[i]! > 0.5))),
    }),
  },
  {
    name: 'meanSquaredError',
    loss: meanSquaredError,
    y: values,
    step: (o, t) => ({
      loss: mean(o.map((v, i) => (v - t[i]!) ** 2)),
      mae: mean(o.map((v, i) => Math.abs(v - t[i]!))),
    }),
  },
  {
    name: 'a loss of one’s own',
    loss: absolute,
    y: values,
    step: (o, t) => ({
      loss: mean(o.map((v, i) => Math.abs(v - t[i]!))),
      largest: Math.max(...o.map((v, i) => Math.abs(v - t[i]!))),
    }),
  },
];

/** By name, the numbers of every example's steps. */
function slowSteps({ step, y }: Rule, output: tf.Tensor): Record<string, number[][]> {
  const targets = rowsOf(tf.tensor(Array.from(y.data), [EXAMPLES, TIME, y.shape[2] ?? 1]));
  const made = rowsOf(output).map((row, i) => row.map((o, t) => step(o, targets[i]![t]!)));
  const names = Object.keys(made[0]![0]!);
  return Object.fromEntries(
    names.map((name) => [name, made.map((row) => row.map((each) => each[name]!))]),
  );
}

const dense = () => layers.dense({ name: 'out', units: UNITS });

describe.each(rules)('padding under $name', (rule) => {
  test('does not count in loss and metrics, in training and evaluation', () => {
    const model = sequence(dense());
    return withSession(open(model, rule.loss(), rule.y), async (session) => {
      const steps = slowSteps(rule, model.predict(wordTensor()) as tf.Tensor);
      const expected = Object.entries(steps).map(([name, each]) => [name, slowMean(each)] as const);
      const source = arraySource({ x: words(), y: rule.y, batchSize: 3, shuffle: false });
      const evaluated = await session.evaluate(source);
      for (const [name, value] of expected) expect(evaluated[name]).toBeCloseTo(value, 5);
      const { history } = await session.fit({ epochs: 1 });
      expect(history[0]!.metrics['loss']).toBeCloseTo(slowMean(steps['loss']!), 5);
    });
  });

  test("counts under 'tfjs'", () => {
    const model = sequence(dense());
    const all: number[][] = real.map((row) => row.map(() => 1));
    return withSession(open(model, rule.loss(), rule.y, { semantics: 'tfjs' }), async (session) => {
      const steps = slowSteps(rule, model.predict(wordTensor()) as tf.Tensor);
      const source = arraySource({ x: words(), y: rule.y, batchSize: 3, shuffle: false });
      const evaluated = await session.evaluate(source);
      for (const [name, each] of Object.entries(steps)) {
        expect(evaluated[name]).toBeCloseTo(slowMean(each, all), 5);
      }
    });
  });

  test('weights per step count steps, and examples by their sum', () => {
    const weights = ids.map((row, i) => row.map((_, t) => (i + t) % 3));
    const model = tfl.sequential({ layers: [embedding({ maskZero: false }), dense()] });
    const w: HostArray = { data: Float32Array.from(weights.flat()), shape: [EXAMPLES, TIME] };
    const train = (batchSize: number) =>
      arraySource({ x: words(), y: rule.y, weights: w, batchSize, shuffle: false });
    const accumulated = { train: train(3), accumulate: 4 };
    return withSession(open(model, rule.loss(), rule.y, accumulated), async (session) => {
      const steps = slowSteps(rule, model.predict(wordTensor()) as tf.Tensor);
      const sum = weights.flat().reduce((a, b) => a + b, 0);
      const expected = Object.entries(steps).map(([name, each]) => {
        const total = each.flat().reduce((a, v, i) => a + v * weights.flat()[i]!, 0);
        return [name, total / sum] as const;
      });
      const evaluated = await session.evaluate(train(3));
      for (const [name, value] of expected) expect(evaluated[name]).toBeCloseTo(value, 5);
      const { history } = await session.fit({ epochs: 1 });
      const loss = expected.find(([name]) => name === 'loss')![1];
      expect(history[0]!.metrics['loss']).toBeCloseTo(loss, 5);
    });
  });
});

test('weights per step count where steps are, and their sum for an output without them', () => {
  const input = tfl.input({ shape: [2] });
  const repeated = layers.repeatVector({ n: TIME }).apply(input) as tfl.SymbolicTensor;
  const each = layers.dense({ name: 'each', units: 1 }).apply(repeated) as tfl.SymbolicTensor;
  const one = layers.dense({ name: 'one', units: 1 }).apply(input) as tfl.SymbolicTensor;
  const model = tfl.model({ inputs: input, outputs: [each, one] });
  const session = createSession({
    model,
    loss: { each: meanSquaredError(), one: meanSquaredError() },
    optimizer: sgd({ learningRate: 0.1 }),
  });
  return withSession(session, async (live) => {
    const weights = tf.tensor2d([
      [1, 0, 3],
      [0, 2, 0],
    ]);
    const y = { each: tf.tensor(waves(6), [2, TIME, 1]), one: tf.tensor([1, 3], [2, 1]) };
    const { terms } = await live.step({ x: tf.zeros([2, 2]), y, weights });
    const squares = Array.from(waves(6), (v) => v * v);
    const [a, , b, , c] = squares as [number, number, number, number, number];
    expect(terms['task/each/mean-squared-error']).toBeCloseTo((a + 3 * b + 2 * c) / 6, 5);
    expect(terms['task/one/mean-squared-error']).toBeCloseTo((4 * 1 + 2 * 9) / 6, 5);
  });
});

describe('example weights', () => {
  const shape = [10, 3];
  const x: HostArray = { data: waves(30), shape };
  const ids = Int32Array.from({ length: 10 }, (_, i) => i % 3);
  const oneHot = Float32Array.from({ length: 30 }, (_, i) =>
    Number(ids[Math.floor(i / 3)] === i % 3),
  );
  const classWeight: Record<number, number> = { 0: 1, 1: 4, 2: 0.25 };
  const weights = Float32Array.from(ids, (id) => classWeight[id]!);
  const model = () =>
    tfl.sequential({
      layers: [layers.dense({ units: 3, activation: 'softmax', inputShape: [3] })],
    });
  const train = (accumulate: number) =>
    arraySource({
      x,
      y: { data: oneHot, shape },
      weights,
      batchSize: 4 / accumulate,
      shuffle: false,
    });
  const numbers = (made: LayersModel) =>
    made.getWeights().flatMap((weight) => Array.from(weight.dataSync()));

  test.each([1, 2])(
    "by 'tfjs' are LayersModel.fit's classWeight, short last windows too (accumulate: %d)",
    async (accumulate) => {
      const [ours, theirs, again] = [model(), model(), model()];
      [theirs, again].forEach((each) => each.setWeights(ours.getWeights()));
      const options = { epochs: 7, batchSize: 4, shuffle: false, verbose: 0 as const, classWeight };
      theirs.compile({ optimizer: tf.train.sgd(0.1), loss: 'categoricalCrossentropy' });
      const fitted = await theirs.fit(
        tf.tensor(x.data, [10, 3]),
        tf.tensor(oneHot, [10, 3]),
        options,
      );
      const run = (made: LayersModel, semantics: 'tfjs' | 'espalier') =>
        createSession({
          model: made,
          loss: crossEntropy(),
          optimizer: sgd({ learningRate: 0.1 }),
          train: train(accumulate),
          accumulate,
          semantics,
        });
      await withSession(run(ours, 'tfjs'), async (session) => {
        const { history } = await session.fit({ epochs: 7 });
        expect(numbers(ours)).toEqual(numbers(theirs).map((v) => expect.closeTo(v, 6) as number));
        const losses = history.map(({ metrics }) => metrics['loss']);
        const expected = fitted.history['loss']!.map(
          (v) => expect.closeTo(v as number, 5) as number,
        );
        expect(losses).toEqual(expected);
      });
      await withSession(run(again, 'espalier'), async (session) => {
        await session.fit({ epochs: 7 });
        const gaps = numbers(again).map((v, i) => Math.abs(v - numbers(theirs)[i]!));
        expect(Math.max(...gaps)).toBeGreaterThan(1e-2);
      });
    },
  );
});

describe('a window of micro-batches counts what is real in all of it', () => {
  /** By steps: a plain mask, and weights of 1 for padding too. */
  const GIVEN: [string, number[][] | undefined, number[][]][] = [
    ['each example alike', undefined, real.map((row) => row.map((v) => v / Math.max(1, sum(row))))],
    ['steps by their weights', ids.map((row) => row.map(() => 1)), real],
    [
      'weights of padding only',
      [
        [1, 2, 1],
        [0, 3, 3],
        [2, 1, 5],
        [4, 4, 4],
      ],
      [
        [1, 2, 1],
        [0, 0, 0],
        [2, 1, 0],
        [0, 0, 0],
      ],
    ],
  ];

  test.each(GIVEN)('%s', async (_name, weights, counts) => {
    const windows = [4, 2, 1].map(async (batchSize) => {
      const train = arraySource({
        x: words(),
        y: classes,
        batchSize,
        shuffle: false,
        ...(weights && {
          weights: { data: Float32Array.from(weights.flat()), shape: [EXAMPLES, TIME] },
        }),
      });
      const more = { train, validation: train, accumulate: EXAMPLES / batchSize };
      const model = sequence(dense());
      model.setWeights(model.getWeights().map((each) => tf.tensor(waves(each.size), each.shape)));
      return withSession(open(model, crossEntropy(), classes, more), async (session) => {
        const each = slowSteps(rules[0]!, model.predict(wordTensor()) as tf.Tensor)['loss']!;
        const total = each.flat().reduce((a, v, i) => a + v * counts.flat()[i]!, 0);
        const { history } = await session.fit({ epochs: 1 });
        expect(history[0]!.metrics['loss']).toBeCloseTo(total / sum(counts.flat()), 5);
        return Object.values(session.parameters()).flatMap((v) => Array.from(v.dataSync()));
      });
    });
    const [whole, ...parts] = await Promise.all(windows);
    for (const part of parts) {
      expect(part).toEqual(whole!.map((v) => expect.closeTo(v, 5) as number));
    }
  });
});

test('where all is padding, an evaluation has no numbers: no perfect loss', async () => {
  const padding: HostArray = { data: new Float32Array(EXAMPLES * TIME), shape: [EXAMPLES, TIME] };
  await withSession(open(sequence(dense()), crossEntropy(), classes), async (session) => {
    const source = arraySource({ x: padding, y: classes, batchSize: 2 });
    const error = await refusal(() => session.evaluate(source));
    expect(error.code).toBe('source/empty');
    expect(error.message).toContain('not masked');
  });
  const input = tfl.input({ shape: [TIME] });
  const each = embedding({ name: 'each' }).apply(input) as tfl.SymbolicTensor;
  const one = layers.dense({ name: 'one', units: 1 }).apply(input) as tfl.SymbolicTensor;
  const model = tfl.model({ inputs: input, outputs: [each, one] });
  const config = {
    model,
    loss: { each: meanSquaredError(), one: meanSquaredError() },
    optimizer: sgd({ learningRate: 0.1 }),
  };
  await withSession(createSession(config), async (session) => {
    const y = { each: values, one: { data: waves(EXAMPLES), shape: [EXAMPLES, 1] } };
    const metrics = await session.evaluate(arraySource({ x: padding, y, batchSize: 2 }));
    expect(metrics['each/loss']).toBeNaN();
    expect(metrics['one/loss']).toBeGreaterThan(0);
  });
});

test('gradients of a masked loss are those of the steps that count', () =>
  withSession(open(sequence(dense()), crossEntropy(), classes), async (session) => {
    const y = tf.tensor(classes.data, [EXAMPLES, TIME], 'int32');
    const batch = await session.batch({ x: wordTensor(), y }, 'b');
    const live = session.parameters({ trainable: true });
    const [paths, xs] = [Object.keys(live), Object.values(live)];
    const { gradients } = session.gradients(batch);
    const f = (...given: tf.Tensor[]) =>
      session.objective(batch, {
        params: Object.fromEntries(given.map((each, i) => [paths[i]!, each])),
      });
    const found = paths.map((path) => gradients[path]!);
    const [numeric, analytic] = directional(f, xs, found);
    expect(analytic).toBeCloseTo(numeric, 3);
    // The row of the padding gets none.
    const embedded = gradients[paths.find((path) => path.endsWith('embeddings'))!]!;
    expect(Array.from(embedded.dataSync()).slice(0, UNITS)).toEqual([0, 0, 0]);
  }));

test('padding is no part of a mean, whatever stands there', () =>
  withSession(open(sequence(dense()), meanSquaredError(), values), async (session) => {
    const filled = (fill: number) =>
      tf.tensor(
        Float32Array.from(values.data, (v, i) => (real.flat()[Math.floor(i / UNITS)] ? v : fill)),
        [EXAMPLES, TIME, UNITS],
      );
    const lossWith = async (fill: number) => {
      const batch = await session.batch({ x: wordTensor(), y: filled(fill) }, 'b');
      return session.objective(batch).dataSync()[0];
    };
    expect(await lossWith(1e6)).toBe(await lossWith(0));
  }));

test('under tfjs a model with padding trains as LayersModel.fit does', async () => {
  const make = () => sequence(layers.lstm({ units: UNITS, returnSequences: true }), dense());
  const [ours, theirs] = [make(), make()];
  theirs.setWeights(ours.getWeights());
  theirs.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
  const y = tf.tensor(values.data, [EXAMPLES, TIME, UNITS]);
  await theirs.fit(wordTensor(), y, {
    epochs: 20,
    batchSize: EXAMPLES,
    shuffle: false,
    verbose: 0,
  });
  await withSession(
    open(ours, meanSquaredError(), values, { semantics: 'tfjs' }),
    async (session) => {
      await session.fit({ epochs: 20 });
      const [a, b] = [ours, theirs].map((model) =>
        model.getWeights().flatMap((weight) => Array.from(weight.dataSync())),
      );
      expect(a).toEqual(b!.map((v) => expect.closeTo(v, 6) as number));
    },
  );
});

type Between = (input: tfl.SymbolicTensor) => tfl.SymbolicTensor;

const through =
  (make: () => unknown): Between =>
  (input) =>
    (make() as tfl.layers.Layer).apply(input) as tfl.SymbolicTensor;
const merged =
  (make: () => tfl.layers.Layer): Between =>
  (input) =>
    make().apply([input, through(dense)(input)]) as tfl.SymbolicTensor;

/** Whether a mask in front of the layer is there behind it, for every class that takes sequences. */
const passing: Readonly<Record<string, readonly [Between, reaches: boolean]>> = {
  Activation: [through(() => layers.activation({ activation: 'tanh' })), true],
  Add: [merged(() => layers.add()), true],
  AlphaDropout: [through(() => layers.alphaDropout({ rate: 0.1 })), true],
  Average: [merged(() => layers.average()), true],
  AveragePooling1D: [through(() => layers.averagePooling1d({ poolSize: 1, strides: 1 })), false],
  BatchNormalization: [through(() => layers.batchNormalization()), true],
  Bidirectional: [
    through(() =>
      layers.bidirectional({
        layer: layers.gru({ units: UNITS, returnSequences: true }) as tfl.RNN,
        mergeMode: 'sum',
      }),
    ),
    true,
  ],
  Concatenate: [merged(() => layers.concatenate()), true],
  Conv1D: [through(() => layers.conv1d({ filters: UNITS, kernelSize: 1 })), false],
  Dense: [through(dense), true],
  Dot: [merged(() => layers.dot({ axes: [2, 2] })), false],
  Dropout: [through(() => layers.dropout({ rate: 0.1 })), true],
  ELU: [through(() => layers.elu()), true],
  GRU: [through(() => layers.gru({ units: UNITS, returnSequences: true })), true],
  GaussianDropout: [through(() => layers.gaussianDropout({ rate: 0.1 })), true],
  GaussianNoise: [through(() => layers.gaussianNoise({ stddev: 0.1 })), true],
  LSTM: [through(() => layers.lstm({ units: UNITS, returnSequences: true })), true],
  LayerNormalization: [through(() => layers.layerNormalization()), true],
  LeakyReLU: [through(() => layers.leakyReLU()), true],
  Masking: [through(() => layers.masking()), true],
  MaxPooling1D: [through(() => layers.maxPooling1d({ poolSize: 1, strides: 1 })), false],
  Maximum: [merged(() => layers.maximum()), true],
  Minimum: [merged(() => layers.minimum()), true],
  Multiply: [merged(() => layers.multiply()), true],
  PReLU: [through(() => layers.prelu()), true],
  Permute: [through(() => layers.permute({ dims: [2, 1] })), false],
  RNN: [
    through(() => layers.rnn({ cell: layers.lstmCell({ units: UNITS }), returnSequences: true })),
    true,
  ],
  ReLU: [through(() => layers.reLU()), true],
  Rescaling: [through(() => layers.rescaling({ scale: 0.5 })), false],
  Reshape: [through(() => layers.reshape({ targetShape: [TIME, UNITS] })), false],
  SimpleRNN: [through(() => layers.simpleRNN({ units: UNITS, returnSequences: true })), true],
  SpatialDropout1D: [through(() => layers.spatialDropout1d({ rate: 0.1 })), true],
  ThresholdedReLU: [through(() => layers.thresholdedReLU({ theta: -9 })), true],
  TimeDistributed: [through(() => layers.timeDistributed({ layer: dense() })), true],
  'a nested model': [
    through(() =>
      tfl.sequential({
        layers: [
          layers.lstm({ units: UNITS, returnSequences: true, inputShape: [TIME, UNITS] }),
          layers.activation({ activation: 'tanh' }),
        ],
      }),
    ),
    true,
  ],
};

/** Layers that give no sequence of the time steps that they take, or take none at all. */
const others = [
  // tfjs adds the mask of the words to the logits of the classes, which fails.
  'Softmax',
  ...['AveragePooling2D', 'AveragePooling3D', 'MaxPooling2D', 'MaxPooling3D', 'UpSampling2D'],
  ...['GlobalAveragePooling1D', 'GlobalMaxPooling1D', 'GlobalAveragePooling2D'],
  ...['GlobalMaxPooling2D', 'Flatten', 'RepeatVector', 'Embedding', 'InputLayer', 'CenterCrop'],
  ...['Conv2D', 'Conv3D', 'Conv2DTranspose', 'Conv3DTranspose', 'SeparableConv2D', 'Resizing'],
  ...['DepthwiseConv2D', 'ConvLSTM2D', 'Cropping2D', 'ZeroPadding2D', 'RandomWidth'],
  ...['CategoryEncoding', 'Model', 'Functional', 'Sequential', 'StackedRNNCells'],
];

test('the table of masks has every layer class that takes sequences', () => {
  const known = [...Object.keys(passing), ...others];
  const registered = layerClasses(/(?:)/);
  expect(registered.filter((name) => !known.includes(name))).toEqual([]);
});

describe('a mask', () => {
  const steps: (readonly number[][] | undefined)[] = [];
  const watch = plugin('watch', {
    apply: (ctx) => {
      ctx.hooks.loss.tap((context) => {
        const [mask] = Object.values(context.steps);
        steps.push(mask?.arraySync() as number[][] | undefined);
      });
    },
  });

  test.each(Object.keys(passing))('before %s', async (name) => {
    const [between, reaches] = passing[name]!;
    const input = tfl.input({ shape: [TIME] });
    const outputs = between(embedding().apply(input) as tfl.SymbolicTensor);
    const model = tfl.model({ inputs: input, outputs });
    const shape = [EXAMPLES, ...(outputs.shape.slice(1) as number[])];
    const y = { data: waves(shape.reduce((a, b) => a * b)), shape };
    await withSession(open(model, meanSquaredError(), y, { plugins: [watch] }), async (session) => {
      steps.length = 0;
      const growth = await tensorsLeakedBy(async () => {
        await session.step({ x: wordTensor(), y: tf.tensor(y.data, shape) });
      });
      expect(growth).toBe(2); // the batch, which stays the caller's
      // Masking makes one of its own: no step of the embedded words is all zeros.
      const expected = name === 'Masking' ? real.map((row) => row.map(() => 1)) : real;
      expect(steps).toEqual([reaches ? expected : undefined]);
    });
  });

  test('of Masking on numbers reaches the output of a model of several', () => {
    const input = tfl.input({ shape: [TIME, 2] });
    const masked = layers.masking({ maskValue: 7 }).apply(input) as tfl.SymbolicTensor;
    const all = layers.lstm({ units: UNITS, returnSequences: true, name: 'all' }).apply(masked);
    const last = layers.lstm({ units: 2, name: 'last' }).apply(masked);
    const model = tfl.model({ inputs: input, outputs: [all, last] as tfl.SymbolicTensor[] });
    const session = createSession({
      model,
      loss: { all: meanSquaredError(), last: meanSquaredError() },
      optimizer: sgd({ learningRate: 0.1 }),
      plugins: [watch],
    });
    return withSession(session, async (live) => {
      steps.length = 0;
      const x = tf.tensor3d([
        [
          [1, 2],
          [7, 7],
          [7, 1],
        ],
      ]);
      const y = { all: tf.zeros([1, TIME, UNITS]), last: tf.zeros([1, 2]) };
      await live.step({ x, y });
      expect(steps).toEqual([[[1, 0, 1]]]);
    });
  });
});

describe('refused by name, before anything is applied', () => {
  const plain: Loss = {
    name: 'plain',
    classIds: false,
    perExample: (o, t) => tf.mean(tf.abs(tf.sub(o, t)), [1, 2]),
    metrics: () => ({}),
  };

  test('a loss that does not say that it heeds steps, where a mask reaches its output', () =>
    withSession(open(sequence(dense()), plain, values), async (session) => {
      const error = await refusal(() => session.fit({ epochs: 1 }));
      expect(error.code).toBe('loss/steps');
      expect(error.message).toMatch(/'out'.*plain.*weighsSteps: true/s);
      const evaluating = arraySource({ x: words(), y: values, batchSize: 2 });
      expect((await refusal(() => session.evaluate(evaluating))).code).toBe('loss/steps');
      expect(session.clock.step).toBe(0);
    }));

  test("not so by semantics 'tfjs', where padding counts", () =>
    withSession(open(sequence(dense()), plain, values, { semantics: 'tfjs' }), (session) =>
      session.fit({ epochs: 1 }),
    ));

  test('weights per step of a model without steps, or of another length', async () => {
    const model = () =>
      tfl.sequential({ layers: [layers.dense({ name: 'out', units: 2, inputShape: [3] })] });
    await withSession(
      createSession({
        model,
        loss: crossEntropy(),
        optimizer: sgd({ learningRate: 0.1 }),
      }),
      async (session) => {
        const step = (y: tf.Tensor, weights: tf.Tensor) =>
          session.step({ x: tf.zeros([2, 3]), y, weights });
        const ones = tf.ones([2, 3]);
        const first = await refusal(() => step(tf.tensor1d([0, 1], 'int32'), ones));
        expect(first.code).toBe('batch/weights');
        expect(first.message).toContain('[2, 3]');
        // As many weights as classes are no weights per step.
        const second = await refusal(() => step(tf.fill([2, 2], 0.5), tf.ones([2, 2])));
        expect(second.code).toBe('loss/steps');
        const third = await refusal(() => step(tf.fill([2, 2], 0.5), tf.fill([2, 2], -1)));
        expect(third.code).toBe('batch/weights');
      },
    );
  });
});
