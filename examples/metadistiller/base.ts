/** What all studies of MetaDistiller share: network, data, budget, and how a row is written. */

import type { Preset } from '@espalier/core';
import { BATCH_SIZE, IMAGES, learningRate, MOMENTUM } from './budget.js';

type Options = Readonly<Record<string, unknown>>;

/** A plain ResNet-8 on 2000 images of Fashion-MNIST. */
export function base(epochs: number) {
  const data = (split: string, options: Options) => ({
    use: `../fashion-mnist/data.ts#${split}`,
    options,
  });
  const schedule = { schedule: 'cosine', ...learningRate(epochs) };
  return {
    model: '../digits/network.ts#residualNetwork',
    data: {
      train: data('train', { images: IMAGES, batchSize: BATCH_SIZE }),
      validation: data('validation', { images: IMAGES }),
      test: data('test', { images: 10_000 }),
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
