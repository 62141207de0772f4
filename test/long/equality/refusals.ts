import {
  arraySource,
  createSession,
  crossEntropy,
  EspalierError,
  meanSquaredError,
  sgd,
} from '@espalier/core';
import type { FitOptions, SessionConfig } from '@espalier/core';
import { tinyMlp, tinySource } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** Something that `fit` takes, or Keras, and a session refuses. */
export interface Refusal {
  readonly what: string;
  readonly attempt: () => Promise<unknown>;
  readonly instead: string;
}

const open = (more: object) =>
  createSession({
    model: tinyMlp,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: tinySource({ batchSize: 6 }),
    ...more,
  } as SessionConfig);

const told = (more: object) => () => open(more);
const fitTold = (options: unknown) => async () => {
  const session = await open({});
  try {
    await session.fit(options as FitOptions);
  } finally {
    await session.dispose();
  }
};
const withModel = (layer: tfl.layers.Layer) =>
  open({ model: tfl.sequential({ layers: [layer] }), loss: meanSquaredError() });

/** A dense layer on four examples of these classes, for an epoch. */
async function trainedOn(ids: readonly number[], head: Parameters<typeof tfl.layers.dense>[0]) {
  const session = await open({
    model: tfl.sequential({ layers: [tfl.layers.dense({ inputShape: [3], ...head })] }),
    train: arraySource({
      x: { data: new Float32Array(12), shape: [4, 3] },
      y: { data: Int32Array.from(ids), shape: [4] },
      batchSize: 4,
    }),
  });
  try {
    await session.fit({ epochs: 1 });
  } finally {
    await session.dispose();
  }
}

export const refusals: readonly Refusal[] = [
  {
    what: '`fit(x, y)`',
    attempt: () => fitTold(tf.zeros([6, 6]))(),
    instead: 'sources, given to `createSession`',
  },
  {
    what: '`validationSplit`',
    attempt: fitTold({ epochs: 1, validationSplit: 0.1 }),
    instead: 'a source of its own as `validation`',
  },
  {
    what: '`batchSize`, `shuffle`, `stepsPerEpoch` of a fit',
    attempt: fitTold({ epochs: 1, batchSize: 3 }),
    instead: 'options of the source',
  },
  {
    what: '`initialEpoch`',
    attempt: fitTold({ epochs: 1, initialEpoch: 2 }),
    instead: '`untilEpoch`; checkpoints say how far a run has come',
  },
  {
    what: '`classWeight`, `sampleWeight` of a fit',
    attempt: fitTold({ epochs: 1, classWeight: { 0: 2 } }),
    instead: '`weights` of the source, or `classWeights` of [everyday](../../plugins/everyday)',
  },
  {
    what: '`callbacks`',
    attempt: fitTold({ epochs: 1, callbacks: [] }),
    instead: 'plugins, `telemetry`, a `signal`',
  },
  {
    what: '`metrics`',
    attempt: told({ metrics: ['accuracy'] }),
    instead: "the loss's own, or an `evaluate` tap",
  },
  {
    what: '`lossWeights`',
    attempt: told({ lossWeights: [1] }),
    instead: 'a plugin that scales the term (`loss:<term>`, mode `modify`)',
  },
  {
    what: 'a loss by its name or as a function',
    attempt: told({ loss: 'meanSquaredError' }),
    instead: 'a loss object',
  },
  {
    what: 'an optimizer by its name, or of `tf.train`',
    attempt: () => open({ optimizer: tf.train.sgd(0.1) }),
    instead: '`tfjs.convert(optimizer)`; of a class of your own `fromTfOptimizer`, without resume',
  },
  {
    what: 'one unit with categorical cross-entropy',
    attempt: () => trainedOn([0, 0, 0, 0], { units: 1 }),
    instead: '`binaryCrossEntropy`',
  },
  {
    what: 'a sigmoid head with categorical cross-entropy',
    attempt: () => trainedOn([0, 1, 0, 1], { units: 2, activation: 'sigmoid' }),
    instead: "`binaryCrossEntropy`, or `from: 'probabilities'`",
  },
  {
    what: 'class ids that name no class',
    attempt: () => trainedOn([0, 5, 0, 1], { units: 2 }),
    instead: 'ids from 0 to one less than the classes',
  },
  {
    what: 'mixed precision',
    attempt: told({ dtypePolicy: 'mixed_float16' }),
    instead: 'nothing: TensorFlow.js has none',
  },
  {
    what: 'stateful RNNs',
    attempt: () =>
      withModel(tfl.layers.lstm({ units: 2, stateful: true, batchInputShape: [2, 3, 2] })),
    instead: 'a plugin that carries state over, as in examples/language-model',
  },
];

/** The code of the error that something ends in. */
export async function codeOf(attempt: () => Promise<unknown>): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof EspalierError) return error.code;
    throw error;
  }
  return 'none';
}
