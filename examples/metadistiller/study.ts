/** MetaDistiller and its parts on CIFAR-100: `npx espalier study run examples/metadistiller/study.ts`. */
import { defineStudy } from '@espalier/study';
import { plain, ROWS } from './rows.js';
import {
  BATCH_SIZE,
  cosine,
  EPOCHS,
  measuredImages,
  MOMENTUM,
  network,
  trainingImages,
} from './setting.js';

const cifar = (split: string, options: Readonly<Record<string, unknown>>) => ({
  use: `../cifar/data.ts#${split}`,
  options,
});
const presets = Object.entries(ROWS).map(([name, preset]) => [name, { preset }] as const);

const COMPARED = [
  ['BYOT', 'deeply supervised'],
  ['MetaDistiller', 'generator by labels'],
  ['MetaDistiller', 'MetaDistiller, random sign'],
  ['MetaDistiller', 'uniform targets'],
] as const;
const SHALLOW = ['accuracy/exit_1', 'accuracy/exit_2', 'accuracy/ensemble'];

export default defineStudy({
  name: 'metadistiller',
  base: {
    model: { use: '../networks/resnet.ts#resnet', options: network },
    data: {
      train: cifar('train', trainingImages(0)),
      validation: cifar('validation', measuredImages(20)),
      test: cifar('test', measuredImages(100)),
    },
    batchSize: BATCH_SIZE,
    epochs: EPOCHS,
    validateEvery: 10,
    preset: plain,
    loss: 'cross-entropy',
    optimizer: {
      use: 'sgd',
      options: { learningRate: { schedule: 'cosine', ...cosine(0.1, EPOCHS) }, ...MOMENTUM },
    },
    backend: { prefer: ['tfjs-node-gpu', 'wasm'] },
  },
  factors: { method: Object.fromEntries(presets) },
  seeds: 12,
  primary: 'accuracy',
  metrics: [
    'loss',
    ...SHALLOW,
    ...['exit_1', 'exit_2'].flatMap((exit) => [
      `train/accuracy/${exit}`,
      ...['accuracy', 'confidence', 'divergence', 'from-uniform'].map(
        (what) => `train/targets/${exit}/${what}`,
      ),
    ]),
    ...['change', 'norm', 'loss-norm', 'outer-start', 'outer-before', 'outer-after'].map(
      (what) => `train/bilevel/${what}`,
    ),
  ],
  tune: {
    trials: 6,
    seeds: [1001, 1002],
    share: 0.5,
    space: {
      'optimizer.options.learningRate.initial': { low: 0.03, high: 0.3, scale: 'log' },
      'plugins.label-smoothing.options.epsilon': { choices: [0.05, 0.1, 0.2] },
      'plugins.multi-exit.options.weights': { choices: [0.3, 1] },
      'plugins.exit-distillation.options.alpha': { low: 0.05, high: 0.9, scale: 'log' },
      'plugins.exit-distillation.options.temperature': { choices: [1, 2, 4] },
    },
  },
  contrasts: {
    'last exit': [
      { of: 'deeply supervised', minus: 'base' },
      ...COMPARED.map(([of, minus]) => ({ of, minus })),
      { of: 'MetaDistiller', minus: 'equal compute' },
    ],
    'exits 1 and 2, ensemble': COMPARED.map(([of, minus]) => ({ of, minus, metric: SHALLOW })),
  },
  smallestEffect: 0.005,
  test: 'after-each-trial',
  resample: 'data.train.options.draw',
  equalCompute: 'cpuSeconds',
  dir: '../../runs/metadistiller',
});
