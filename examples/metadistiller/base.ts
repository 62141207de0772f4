/** What all studies of MetaDistiller share: network, data, budget, and how a row is written. */

import type { Preset } from '@espalier/core';

type Options = Readonly<Record<string, unknown>>;

/** Images in a batch of training. */
export const batchSize = 64;

const TRAIN = 2000;

/** A plain ResNet-8 on 2000 images of Fashion-MNIST. */
export function base(epochs: number) {
  const data = (split: string, options: Options) => ({
    use: `../fashion-mnist/data.ts#${split}`,
    options,
  });
  const steps = epochs * Math.ceil(TRAIN / batchSize);
  const learningRate = { schedule: 'cosine', initial: 0.1, steps };
  return {
    model: '../digits/network.ts#residualNetwork',
    data: {
      train: data('train', { images: TRAIN, batchSize }),
      validation: data('validation', { images: 2000 }),
      test: data('test', { images: 10_000 }),
    },
    batchSize,
    epochs,
    loss: 'cross-entropy',
    optimizer: { use: 'sgd', options: { learningRate, momentum: 0.9, weightDecay: 5e-4 } },
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
