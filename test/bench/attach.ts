import { attach } from '@espalier/attach';
import { useBackend } from '@espalier/backend';
import { disposeModel } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { cpuClock, pairedRatios } from './measure.js';
import type { BenchOptions, Figure, Ratio } from './measure.js';
import { noise } from './networks.js';

const CLASSES = 10;
const TARGET = 1.03;

/** A network with steps of some milliseconds, and how it is trained. */
interface Subject {
  readonly model: () => LayersModel;
  readonly optimizer: () => tf.Optimizer;
  /** Of one example. */
  readonly shape: readonly number[];
  readonly batchSize: number;
  /** In one fit. */
  readonly steps: number;
}

const { layers } = tfl;

const SUBJECTS: Readonly<Record<string, Subject>> = {
  'MLP, adam': {
    model: () =>
      tfl.sequential({
        layers: [
          layers.dense({ units: 256, activation: 'relu', inputShape: [784] }),
          layers.dense({ units: CLASSES, activation: 'softmax' }),
        ],
      }),
    optimizer: () => tf.train.adam(1e-4),
    shape: [784],
    batchSize: 128,
    steps: 12,
  },
  'CNN with batch normalization, momentum': {
    model: cnn,
    optimizer: () => tf.train.momentum(1e-3, 0.9),
    shape: [28, 28, 1],
    batchSize: 32,
    steps: 6,
  },
  'LSTM, rmsprop': {
    model: () =>
      tfl.sequential({
        layers: [
          layers.lstm({ units: 32, inputShape: [20, 40] }),
          layers.dense({ units: CLASSES, activation: 'softmax' }),
        ],
      }),
    optimizer: () => tf.train.rmsprop(1e-4),
    shape: [20, 40],
    batchSize: 64,
    steps: 4,
  },
};

function cnn(): LayersModel {
  const block = (filters: number, first: object = {}) => [
    layers.conv2d({ filters, kernelSize: 3, padding: 'same', useBias: false, ...first }),
    layers.batchNormalization(),
    layers.reLU(),
    layers.maxPooling2d({ poolSize: 2 }),
  ];
  return tfl.sequential({
    layers: [
      ...block(16, { inputShape: [28, 28, 1] }),
      ...block(32),
      layers.flatten(),
      layers.dense({ units: CLASSES, activation: 'softmax' }),
    ],
  });
}

/** `attach` without a preset against `model.fit`, from the same weights on the same batches. */
export async function benchAttach({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const backend = await useBackend({ prefer: ['wasm'] });
  const figures: Figure[] = [];
  for (const [name, subject] of Object.entries(SUBJECTS)) {
    figures.push(...(await measure(name, subject, quick ? 7 : 41)));
  }
  backend.dispose();
  return figures;
}

async function measure(
  name: string,
  { model, optimizer, shape, batchSize, steps }: Subject,
  rounds: number,
): Promise<readonly Figure[]> {
  const { x, y } = noise([batchSize * steps, ...shape], CLASSES);
  const labels = tf.oneHot(y, CLASSES);
  const [theirs, ours] = [model(), model()];
  ours.setWeights(theirs.getWeights());
  for (const each of [theirs, ours]) {
    each.compile({ optimizer: optimizer(), loss: 'categoricalCrossentropy' });
  }
  const run = await attach(ours);
  const fit = (each: LayersModel) => () =>
    each.fit(x, labels, { epochs: 1, batchSize, shuffle: false, verbose: 0 });
  const contenders = { attached: fit(ours), plain: fit(theirs) };
  const [cpu, wall] = await pairedRatios(contenders, rounds, [cpuClock, () => performance.now()]);
  const difference = largestDifference(theirs, ours);
  await run.detach();
  [theirs, ours].forEach(disposeModel);
  tf.dispose([x, y, labels]);
  return [
    figure(`${name}: time of the processor`, cpu!, steps, TARGET),
    figure(`${name}: time that passes`, wall!, steps),
    { name: `${name}: weights differ by`, value: difference, unit: 'at most', target: 0 },
  ];
}

function figure(
  name: string,
  { median, quartiles, of }: Ratio<'attached' | 'plain'>,
  steps: number,
  target?: number,
): Figure {
  const [low, high] = quartiles.map((value) => value.toFixed(3));
  const [attached, plain] = [of.attached, of.plain].map((ms) => (ms / steps).toFixed(2));
  return {
    name,
    value: median,
    unit: '×',
    spread: `quartiles ${low}–${high} ×, a step ${attached} / ${plain} ms`,
    ...(target !== undefined && { target }),
  };
}

function largestDifference(a: LayersModel, b: LayersModel): number {
  const [first, second] = [a, b].map(({ weights }) => weights.map((weight) => weight.read()));
  const differences = first!.map((tensor, k) =>
    tf.tidy(() => tf.max(tf.abs(tf.sub(tensor, second![k]!))).dataSync()[0]!),
  );
  return Math.max(...differences);
}
