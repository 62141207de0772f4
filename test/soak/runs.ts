import { arraySource, createSession, crossEntropy, keyedRng, sgd } from '@espalier/core';
import type { PluginEntries, Session, SessionConfig, Source } from '@espalier/core';
import { cutout, mixup, randomCrop, randomFlip } from '@espalier/plugin-augmentation';
import {
  bestWeights,
  classWeights,
  earlyStopping,
  ema,
  metrics,
  reduceOnPlateau,
  trainingMetrics,
} from '@espalier/plugin-everyday';
import { labelSmoothing } from '@espalier/plugin-label-smoothing';
import { prune } from '@espalier/plugin-prune';
import { groupReduce } from '@espalier/preset-group-reduce';
import { metadistiller } from '@espalier/preset-metadistiller';
import * as tfl from '@tensorflow/tfjs-layers';

/** A session of plugins that go together, and the plugins that change its model before the long run. */
export interface SoakRun {
  readonly name: string;
  readonly transforms: readonly string[];
  open(more: Pick<SessionConfig, 'backend' | 'checkpoint'>): Promise<Session>;
}

const [WORDS, STEPS, SIDE, CLASSES] = [48, 4, 8, 4];
/** Batches of an epoch, and examples of a batch. */
export const BATCHES = 8;
const BATCH = 4;
const EXAMPLES = BATCHES * BATCH;

const optimizer = () => sgd({ learningRate: 0.05, momentum: 0.9 });

/** Watches every epoch, but lets the run go on. */
const watchers = (output: string): PluginEntries => ({
  metrics: { use: metrics, options: { compute: ['f1', 'confusion'], output } },
  'training-metrics': { use: trainingMetrics, options: { output } },
  ema: { use: ema, options: { putInPlace: false } },
  'best-weights': { use: bestWeights, options: { restore: false } },
  'reduce-on-plateau': { use: reduceOnPlateau, options: { patience: 50 } },
  'early-stopping': { use: earlyStopping, options: { patience: 1_000_000 } },
});

/** Both presets, each with all its stages, on a model of words. */
const words: SoakRun = {
  name: 'words: metadistiller and group-reduce',
  transforms: ['block-low-rank', 'quantizer'],
  open: (more) =>
    createSession({
      ...more,
      model: wordModel,
      preset: {
        name: 'soak',
        extends: [
          metadistiller({ at: ['words', 'mix'], branch: 'linear', meta: { interval: 8 } }),
          groupReduce({
            partition: { blocks: 2 },
            lowRank: { layers: ['words', 'softmax'], ratio: 1.5 },
            quantizer: { minSize: 16 },
          }),
        ],
        plugins: watchers('softmax'),
      },
      loss: crossEntropy(),
      optimizer: optimizer(),
      train: textSource(1),
      validation: textSource(2),
    }),
};

/** What changes images and labels, with what makes a network smaller. */
const images: SoakRun = {
  name: 'images: augmentation, label smoothing, class weights, prune',
  transforms: ['prune'],
  open: (more) =>
    createSession({
      ...more,
      model: imageModel,
      preset: {
        name: 'soak',
        plugins: {
          'random-crop': { use: randomCrop, options: { padding: 1 } },
          'random-flip': { use: randomFlip },
          cutout: { use: cutout, options: { size: 2 } },
          mixup: { use: mixup },
          'label-smoothing': { use: labelSmoothing },
          'class-weights': { use: classWeights, options: { weights: { 1: 2 } } },
          prune: { use: prune, options: { ratio: 2, layers: ['logits'] } },
          ...watchers('logits'),
        },
      },
      loss: crossEntropy(),
      optimizer: optimizer(),
      train: imageSource(1),
      validation: imageSource(2),
    }),
};

/** The runs. */
export const RUNS: readonly SoakRun[] = [words, images];

function wordModel(): tfl.LayersModel {
  const { embedding, dense, globalAveragePooling1d } = tfl.layers;
  return tfl.sequential({
    layers: [
      embedding({ name: 'words', inputDim: WORDS, outputDim: 8, inputLength: STEPS }),
      dense({ name: 'mix', units: 8, activation: 'tanh' }),
      globalAveragePooling1d({ name: 'pool' }),
      dense({ name: 'softmax', units: WORDS }),
    ],
  });
}

function imageModel(): tfl.LayersModel {
  const { activation, batchNormalization, conv2d, dense, dropout, globalAveragePooling2d } =
    tfl.layers;
  return tfl.sequential({
    layers: [
      conv2d({ name: 'conv', filters: 4, kernelSize: 3, inputShape: [SIDE, SIDE, 1] }),
      batchNormalization({ name: 'norm' }),
      activation({ name: 'relu', activation: 'relu' }),
      globalAveragePooling2d({ name: 'pool' }),
      dropout({ name: 'drop', rate: 0.1 }),
      dense({ name: 'logits', units: CLASSES }),
    ],
  });
}

function textSource(seed: number): Source {
  const draw = keyedRng(seed, 'text');
  const x = Int32Array.from({ length: EXAMPLES * STEPS }, () => Math.floor(draw() ** 2 * WORDS));
  const y = Int32Array.from({ length: EXAMPLES }, (_, i) => x[STEPS * i]!);
  return arraySource({
    x: { data: x, shape: [EXAMPLES, STEPS] },
    y: { data: y, shape: [EXAMPLES] },
    batchSize: BATCH,
  });
}

function imageSource(seed: number): Source {
  const draw = keyedRng(seed, 'images');
  const data = Float32Array.from({ length: EXAMPLES * SIDE * SIDE }, draw);
  const y = Int32Array.from({ length: EXAMPLES }, (_, i) => i % CLASSES);
  return arraySource({
    x: { data, shape: [EXAMPLES, SIDE, SIDE, 1] },
    y: { data: y, shape: [EXAMPLES] },
    batchSize: BATCH,
  });
}
