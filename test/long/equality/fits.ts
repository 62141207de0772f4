import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, ModelFitArgs, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { readHistory } from './attached.js';
import type { Program, Seen } from './attached.js';
import { HOW, mlp, oneHot, values, x } from './losses.js';

const { layers } = tfl;

const classifier = {
  model: () => mlp('softmax'),
  compile: () => ({ loss: 'categoricalCrossentropy', metrics: ['accuracy'] }),
};

/** `fit` told more. */
const fit = (more: () => ModelFitArgs): Program => ({
  ...classifier,
  train: async (model) => readHistory(await model.fit(x(), oneHot(), { ...HOW, ...more() })),
});

type Batch = { readonly xs: Tensor; readonly ys: Tensor };

/** Batches as `tf.data` gives them. */
export function dataset(rows: readonly (readonly [number, number])[]) {
  const read = ([from, count]: readonly [number, number]): Batch => ({
    xs: tf.slice(x(), [from, 0], [count, 3]),
    ys: tf.slice(oneHot(), [from, 0], [count, 3]),
  });
  return {
    size: rows.length,
    async iterator() {
      let at = 0;
      return {
        next: async (): Promise<IteratorResult<Batch>> =>
          at < rows.length
            ? { value: read(rows[at++]!), done: false }
            : { value: undefined, done: true },
      };
    },
  };
}
export const ROWS = [
  [0, 2],
  [2, 2],
  [4, 1],
] as const;

type More = () => Partial<Parameters<LayersModel['fitDataset']>[1]>;
const fitDataset = (more: More, rows: Parameters<typeof dataset>[0] = ROWS): Program => ({
  ...classifier,
  train: async (model) =>
    readHistory(await model.fitDataset(dataset(rows), { epochs: 2, ...more() })),
});

/** Two inputs, a layer that both go through, and two outputs. */
function shared(): LayersModel {
  const inputs = ['left', 'right'].map((name) => tfl.input({ shape: [3], name }));
  const hidden = layers.dense({ units: 4, activation: 'tanh' });
  const both = inputs.map((input) => hidden.apply(input) as SymbolicTensor);
  const joined = layers.concatenate().apply(both);
  const head = (name: string, activation: 'linear' | 'softmax') =>
    layers.dense({ units: 3, activation, name }).apply(joined) as SymbolicTensor;
  return tfl.model({ inputs, outputs: [head('number', 'linear'), head('kind', 'softmax')] });
}
const both = {
  model: shared,
  compile: () => ({
    loss: { number: 'meanSquaredError', kind: 'categoricalCrossentropy' },
    metrics: { kind: 'accuracy' },
  }),
};
function around(inner: LayersModel): LayersModel {
  const input = tfl.input({ shape: [3] });
  return tfl.model({ inputs: input, outputs: inner.apply(input) as SymbolicTensor });
}

const numbersOf = (result: Tensor | Tensor[]): Seen =>
  [result].flat().map((tensor) => [...tensor.dataSync()]);

/** How a program trains, evaluates and predicts. */
export const fits: readonly (readonly [string, Program])[] = [
  ['fit', fit(() => ({}))],
  ['one batch of all', fit(() => ({ batchSize: 32 }))],
  ['validationSplit', fit(() => ({ validationSplit: 0.4 }))],
  ['validationData', fit(() => ({ validationData: [x(), oneHot()] }))],
  ['classWeight', fit(() => ({ classWeight: { 0: 0.5, 1: 2, 2: 3 } }))],
  ['initialEpoch', fit(() => ({ initialEpoch: 1, epochs: 3 }))],
  [
    'fit after fit',
    {
      ...classifier,
      train: async (model) => {
        const seen: Seen[] = [];
        for (let i = 0; i < 3; i++) {
          seen.push(readHistory(await model.fit(x(), oneHot(), { ...HOW, epochs: 1 })));
        }
        return seen;
      },
    },
  ],
  ['fitDataset', fitDataset(() => ({}))],
  ['fitDataset, validationData a dataset', fitDataset(() => ({ validationData: dataset(ROWS) }))],
  [
    'fitDataset, validationData tensors',
    fitDataset(() => ({ validationData: [x(), oneHot()], validationBatchSize: 2 })),
  ],
  ['fitDataset, batchesPerEpoch', fitDataset(() => ({ batchesPerEpoch: 2 }), [...ROWS, ...ROWS])],
  ['fitDataset, classWeight', fitDataset(() => ({ classWeight: { 0: 0.5, 1: 2, 2: 3 } }))],
  ['fitDataset, initialEpoch', fitDataset(() => ({ initialEpoch: 1, epochs: 3 }))],
  [
    'trainOnBatch, the loss alone',
    {
      model: () => mlp(),
      train: async (model) => [
        await model.trainOnBatch(x(), values()),
        await model.trainOnBatch(x(), values()),
      ],
    },
  ],
  [
    'trainOnBatch, metrics too',
    {
      ...classifier,
      train: async (model) => [
        await model.trainOnBatch(x(), oneHot()),
        await model.trainOnBatch(x(), oneHot()),
      ],
    },
  ],
  [
    'evaluate and predict after a fit',
    {
      ...classifier,
      train: async (model) => {
        await model.fit(x(), oneHot(), HOW);
        return [numbersOf(model.evaluate(x(), oneHot())), numbersOf(model.predict(x()))];
      },
    },
  ],
  [
    'inputs and targets by name, a shared layer, two losses',
    {
      ...both,
      train: async (model) => {
        const inputs = { left: x(), right: values() };
        const targets = { number: values(), kind: oneHot() };
        return readHistory(await model.fit(inputs, targets, HOW));
      },
    },
  ],
  [
    'inputs and targets in lists',
    {
      ...both,
      train: async (model) =>
        readHistory(await model.fit([x(), values()], [values(), oneHot()], HOW)),
    },
  ],
  [
    'compiled again, a layer unfrozen',
    {
      model: () => mlp(),
      train: async (model) => {
        model.layers[0]!.trainable = false;
        model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
        const first = readHistory(await model.fit(x(), values(), HOW));
        model.layers[0]!.trainable = true;
        model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanAbsoluteError' });
        return [first, readHistory(await model.fit(x(), values(), HOW))];
      },
    },
  ],
  [
    'a layer frozen after compile',
    {
      model: () => mlp(),
      train: async (model) => {
        model.layers[0]!.trainable = false;
        return readHistory(await model.fit(x(), values(), HOW));
      },
    },
  ],
  [
    'a model frozen after compile, in another, as of a GAN',
    {
      model: () => around(around(mlp())),
      train: async (model) => {
        model.layers[1]!.trainable = false;
        return readHistory(await model.fit(x(), values(), HOW));
      },
    },
  ],
  [
    'a loss of its own',
    {
      model: () => mlp(),
      compile: () => ({
        loss: (yTrue: Tensor, yPred: Tensor) => tf.mean(tf.pow(tf.sub(yTrue, yPred), 4), -1),
      }),
      train: async (model) => readHistory(await model.fit(x(), values(), HOW)),
    },
  ],
  [
    'a loss and a metric that are functions of tf',
    {
      model: () => mlp(),
      compile: () => ({ loss: tf.losses.huberLoss, metrics: [tfl.metrics.meanAbsoluteError] }),
      train: async (model) => readHistory(await model.fit(x(), values(), HOW)),
    },
  ],
];
