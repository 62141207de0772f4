import { binaryCrossEntropy, crossEntropy, meanSquaredError, tfjs } from '@espalier/core';
import type { HostArray } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { SymbolicTensor } from '@tensorflow/tfjs-layers';
import { wave } from './measure.js';
import type { Training } from './measure.js';

const { layers } = tfl;
const EXAMPLES = 5; // the last batch is smaller

const array = (shape: number[], value: (i: number) => number = wave): HostArray => ({
  data: Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => value(i)),
  shape,
});
const oneHot = array([EXAMPLES, 3], (i) => Number(i % 3 === Math.floor(i / 3) % 3));
const x = array([EXAMPLES, 3]);

/** Hidden units, and two or as many outputs as there are. */
const mlp = (hidden: object = {}, head: object = {}) =>
  tfl.sequential({
    layers: [
      layers.dense({ units: 4, activation: 'tanh', inputShape: [3], ...hidden }),
      layers.dense({ units: 2, ...head }),
    ],
  });
const plain = { x, y: array([EXAMPLES, 2], (i) => wave(i + 0.5)) };
const classes = (activation: 'softmax' | 'sigmoid' | 'linear') => () =>
  mlp({}, { units: 3, activation });

const withOptimizer = (theirs: () => tf.Optimizer): Training => ({
  ...plain,
  model: mlp,
  optimizer: [theirs, () => tfjs.convert(theirs())],
});

function normalized(options: object): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      layers.dense({ units: 4, inputShape: [3] }),
      layers.batchNormalization(options),
      layers.dense({ units: 2 }),
    ],
  });
}

/** A sequence of which the last steps are padding, up to the loss. */
function masked(): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      layers.masking({ inputShape: [4, 2] }),
      layers.lstm({ units: 2, returnSequences: true }),
      layers.dense({ units: 2 }),
    ],
  });
}
const padded = array([EXAMPLES, 4, 2], (i) => (Math.floor(i / 2) % 4 < 3 ? wave(i) : 0));

function twoOutputs(): tfl.LayersModel {
  const input = tfl.input({ shape: [3] });
  const hidden = layers.dense({ units: 4 }).apply(input);
  const first = layers.dense({ units: 2, name: 'first' }).apply(hidden) as SymbolicTensor;
  const second = layers.dense({ units: 2, name: 'second' }).apply(hidden) as SymbolicTensor;
  return tfl.model({ inputs: input, outputs: [first, second] });
}

/** A nested model, called twice. */
function nested(): tfl.LayersModel {
  const inner = tfl.sequential({ layers: [layers.dense({ units: 3, inputShape: [3] })] });
  const input = tfl.input({ shape: [3] });
  const twice = inner.apply(inner.apply(input)) as SymbolicTensor;
  return tfl.model({ inputs: input, outputs: layers.dense({ units: 2 }).apply(twice) as never });
}

const l1l2 = () => tfl.regularizers.l1l2({ l1: 0.02, l2: 0.1 });
const small = () => tfl.constraints.maxNorm({ maxValue: 0.1 });

/** What `fit` can be told besides layers, measured under semantics 'tfjs'. */
export const features: readonly (readonly [string, Training])[] = [
  ['optimizer sgd', withOptimizer(() => tf.train.sgd(0.05))],
  ['optimizer momentum', withOptimizer(() => tf.train.momentum(0.05, 0.9))],
  ['optimizer momentum, Nesterov', withOptimizer(() => tf.train.momentum(0.05, 0.9, true))],
  ['optimizer adam', withOptimizer(() => tf.train.adam(0.01))],
  ['optimizer adamax', withOptimizer(() => tf.train.adamax(0.01))],
  ['optimizer rmsprop', withOptimizer(() => tf.train.rmsprop(0.01))],
  ['optimizer rmsprop, centred', withOptimizer(() => tf.train.rmsprop(0.01, 0.9, 0, 1e-12, true))],
  ['optimizer adagrad', withOptimizer(() => tf.train.adagrad(0.05))],
  ['optimizer adadelta', withOptimizer(() => tf.train.adadelta(1))],
  ['loss meanSquaredError', { ...plain, model: mlp }],
  [
    'loss categoricalCrossentropy behind softmax',
    { x, y: oneHot, model: classes('softmax'), loss: ['categoricalCrossentropy', crossEntropy()] },
  ],
  [
    'loss binaryCrossentropy behind sigmoid',
    { x, y: oneHot, model: classes('sigmoid'), loss: ['binaryCrossentropy', binaryCrossEntropy()] },
  ],
  [
    'class weights',
    {
      x,
      y: oneHot,
      model: classes('softmax'),
      loss: ['categoricalCrossentropy', crossEntropy()],
      fit: () => ({ classWeight: { 0: 0.5, 1: 2, 2: 3 } }),
      weights: Array.from({ length: EXAMPLES }, (_, i) => [0.5, 2, 3][i % 3]!),
    },
  ],
  [
    'regularizers',
    { ...plain, model: () => mlp({ kernelRegularizer: l1l2(), biasRegularizer: l1l2() }) },
  ],
  ['constraints', { ...plain, model: () => mlp({ kernelConstraint: small() }) }],
  ['frozen layer', { ...plain, model: () => mlp({ trainable: false }) }],
  ['batch normalization, statistics too', { ...plain, model: () => normalized({}) }],
  ['frozen batch normalization', { ...plain, model: () => normalized({ trainable: false }) }],
  ['masked padding', { x: padded, y: array([EXAMPLES, 4, 2]), model: masked }],
  [
    'two outputs',
    {
      x,
      y: { first: plain.y, second: array([EXAMPLES, 2], (i) => wave(i + 9)) },
      model: twoOutputs,
      loss: ['meanSquaredError', { first: meanSquaredError(), second: meanSquaredError() }],
    },
  ],
  ['nested model, called twice', { ...plain, model: nested }],
  ['validationData', { ...plain, model: mlp, fit: () => ({ validationData: validation() }) }],
];

function validation(): [tf.Tensor, tf.Tensor] {
  return [tf.ones([2, 3]), tf.ones([2, 2])];
}
