/** The worker: builds the network, attaches a method, trains with TensorFlow.js's own `fit`. */
import { attach } from '@espalier/attach';
import { getModelArtifacts, serveTraining } from '@espalier/attach/worker';
import type { TrainingContext } from '@espalier/attach/worker';
import { useBackend } from '@espalier/backend';
import type { BackendName } from '@espalier/backend';
import { byot, labelSmoothing } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { CLASSES } from './spirals.js';
import type { Points } from './spirals.js';

const methods = {
  none: () => undefined,
  smoothing: () => labelSmoothing(),
  byot: () => byot({ at: ['hidden_1', 'hidden_2'], branch: 'linear' }),
};

/** What the page sends. */
export interface Input extends Points {
  readonly method: keyof typeof methods;
  readonly backend: BackendName;
  readonly epochs: number;
}

function buildNetwork() {
  const model = sequential();
  model.add(layers.inputLayer({ inputShape: [2] }));
  for (const name of ['hidden_1', 'hidden_2', 'hidden_3']) {
    model.add(layers.dense({ name, units: 32, activation: 'tanh' }));
  }
  model.add(layers.dense({ name: 'classes', units: CLASSES, activation: 'softmax' }));
  model.compile({
    optimizer: tf.train.adam(0.01),
    loss: 'categoricalCrossentropy',
    metrics: ['accuracy'],
  });
  return model;
}

const task = async ({ input, report }: TrainingContext<Input>) => {
  const backend = await useBackend({ prefer: [input.backend, 'cpu'] });
  const model = buildNetwork();
  const run = await attach(model, methods[input.method](), { onWarning: report.warn });
  const x = tf.tensor2d(input.position, [input.label.length, 2]);
  const y = tf.oneHot(tf.tensor1d(input.label, 'int32'), CLASSES);
  await model.fit(x, y, {
    epochs: input.epochs,
    batchSize: 32,
    validationSplit: 0.25,
    callbacks: report.callbacks,
  });
  await run.detach();
  const trained = await getModelArtifacts(model);
  tf.dispose([x, y]);
  model.dispose(); // the worker lives on, for the next training
  return { model: trained, backend: backend.name };
};

/** What the page gives to `trainInWorker` as its type. */
export type Task = typeof task;

serveTraining(task);
