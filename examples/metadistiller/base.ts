/** What all studies of MetaDistiller share: network, data, budget, and how a row is written. */
import type { Preset } from '@espalier/core';
import { BATCH_SIZE, IMAGES, learningRate, MOMENTUM } from './budget.js';
import type { Dataset } from './datasets.js';

type Options = Readonly<Record<string, unknown>>;

/** A split of a data set, as a configuration names it. */
export function split({ module, dir }: Dataset, name: string, options: Options) {
  return { use: `${module}#${name}`, options: { ...options, dir } };
}

/** A plain ResNet-8. */
export function base(dataset: Dataset, epochs: number) {
  const schedule = { schedule: 'cosine', ...learningRate(epochs) };
  return {
    model: { use: '../networks/resnet.ts#resnet', options: { depth: 8, ...dataset.network } },
    data: {
      train: split(dataset, 'train', { images: IMAGES, batchSize: BATCH_SIZE }),
      validation: split(dataset, 'validation', { images: IMAGES }),
      test: split(dataset, 'test', { images: dataset.testImages }),
    },
    batchSize: BATCH_SIZE,
    epochs,
    loss: 'cross-entropy',
    optimizer: { use: 'sgd', options: { learningRate: schedule, ...MOMENTUM } },
    backend: { prefer: ['tfjs-node-gpu', 'wasm'] as const },
  };
}

/** Where the exits stand. */
export const at = ['stage1', 'stage2'];

/** A preset of `@espalier/preset-<name>`, or with `plugins` laid over it. */
export function preset(use: string, options: Options = {}, plugins?: Preset['plugins']) {
  const named = { use: `@espalier/preset-${use}`, options };
  return { preset: plugins ? { extends: named, plugins } : named };
}

/** Metrics beside the primary one. */
export const metrics = ['loss', 'accuracy/exit_1', 'accuracy/exit_2', 'accuracy/ensemble'];
