import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, ModelFitArgs } from '@tensorflow/tfjs-layers';
import { readHistory } from './attached.js';
import type { Program } from './attached.js';
import { wave } from './measure.js';

const EXAMPLES = 5; // the last batch is smaller
const CLASSES = 3;

const array = (shift: number, map = (value: number) => value): Tensor2D => {
  const data = Array.from({ length: EXAMPLES * CLASSES }, (_, i) => map(wave(i + shift)));
  return tf.tensor2d(data, [EXAMPLES, CLASSES]);
};

/** Three numbers of each example. */
export const x = (): Tensor2D => array(0);
/** Three more, to be found from those. */
export const values = (): Tensor2D => array(0.5);

const ids = Array.from({ length: EXAMPLES }, (_, i) => (2 * i) % CLASSES);
export const oneHot = (): Tensor2D =>
  tf.cast(tf.oneHot(tf.tensor1d(ids, 'int32'), CLASSES), 'float32') as Tensor2D;
const classIds = () => tf.tensor2d(ids, [EXAMPLES, 1]);
const signs = () => array(0.5, Math.sign);
const counts = () => array(0.5, (value) => Math.round(2 + 2 * value));
const shares = () => tf.softmax(array(0.5));

type Activation = NonNullable<Parameters<typeof tfl.layers.dense>[0]['activation']>;

/** Hidden units and three outputs. */
export const mlp = (activation: Activation = 'linear'): LayersModel =>
  tfl.sequential({
    layers: [
      tfl.layers.dense({ units: 4, activation: 'tanh', inputShape: [3] }),
      tfl.layers.dense({ units: CLASSES, activation }),
    ],
  });

export const HOW: ModelFitArgs = { epochs: 2, batchSize: 2, shuffle: false };

/** By its name, the head and the targets that a loss is made for. */
const LOSSES: Readonly<Record<string, readonly [Activation, () => tf.Tensor]>> = {
  meanSquaredError: ['linear', values],
  meanAbsoluteError: ['linear', values],
  meanAbsolutePercentageError: ['linear', values],
  meanSquaredLogarithmicError: ['softplus', counts],
  squaredHinge: ['tanh', signs],
  hinge: ['tanh', signs],
  categoricalHinge: ['linear', oneHot],
  logcosh: ['linear', values],
  categoricalCrossentropy: ['softmax', oneHot],
  sparseCategoricalCrossentropy: ['softmax', classIds],
  binaryCrossentropy: ['sigmoid', oneHot],
  kullbackLeiblerDivergence: ['softmax', shares],
  poisson: ['softplus', counts],
  cosineProximity: ['linear', values],
};

/** Every loss that `compile` takes by name. */
export const losses: readonly (readonly [string, Program])[] = Object.entries(LOSSES).map(
  ([loss, [activation, y]]) => [
    loss,
    {
      model: () => mlp(activation),
      compile: () => ({ loss }),
      train: async (model) => readHistory(await model.fit(x(), y(), HOW)),
    },
  ],
);

/** Every optimizer that `compile` takes by name; tfjs makes the same of each name in capitals, such as RMSProp. */
export const optimizers: readonly (readonly [string, Program])[] = [
  'adagrad',
  'adadelta',
  'adam',
  'adamax',
  'rmsprop',
  'sgd',
].map((optimizer) => [
  optimizer,
  {
    model: () => mlp(),
    compile: () => ({ optimizer }),
    train: async (model) => readHistory(await model.fit(x(), values(), HOW)),
  },
]);

type Metrics = readonly [loss: string, head: Activation, y: () => tf.Tensor, names: string[]];

export const METRICS: Readonly<Record<string, Metrics>> = {
  'metrics of one-hot classes': [
    'categoricalCrossentropy',
    'softmax',
    oneHot,
    [
      'accuracy',
      'crossentropy',
      'binaryAccuracy',
      'categoricalAccuracy',
      'categoricalCrossentropy',
      'precision',
    ],
  ],
  'metrics of class ids': [
    'sparseCategoricalCrossentropy',
    'softmax',
    classIds,
    ['accuracy', 'crossentropy', 'sparseCategoricalCrossentropy'],
  ],
  'metrics of numbers': [
    'meanSquaredError',
    'linear',
    values,
    ['mse', 'MSE', 'mae', 'MAE', 'mape', 'MAPE', 'cosine'],
  ],
};

/** Every metric that `compile` takes by name. */
export const metrics: readonly (readonly [string, Program])[] = Object.entries(METRICS).map(
  ([what, [loss, head, y, names]]) => [
    what,
    {
      model: () => mlp(head),
      compile: () => ({ loss, metrics: names }),
      train: async (model) => readHistory(await model.fit(x(), y(), HOW)),
    },
  ],
);
