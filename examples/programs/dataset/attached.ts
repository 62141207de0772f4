import { attach } from '@espalier/attach';
import { byot } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { spirals } from './spirals.js';

const { dense } = tfl.layers;

function createModel(): tfl.LayersModel {
  const input = tfl.input({ shape: [2] });
  const early = dense({ units: 16, activation: 'relu', name: 'early' }).apply(input);
  const late = dense({ units: 16, activation: 'relu', name: 'late' }).apply(early);
  const classes = dense({ units: 3, activation: 'softmax', name: 'classes' }).apply(late);
  const model = tfl.model({ inputs: input, outputs: classes as tfl.SymbolicTensor });
  return model;
}

/** `fitDataset` on batches from an iterator, stopped early, with a callback that waits. */
export async function run() {
  const validation = spirals('validation', { batches: 2 });
  const shown: number[] = [];

  const model = createModel();
  model.compile({
    optimizer: tf.train.rmsprop(0.02),
    loss: 'categoricalCrossentropy',
    metrics: ['accuracy'],
  });
  const show = new tfl.CustomCallback({
    onEpochEnd: async (epoch, logs) => {
      await new Promise((resolve) => setTimeout(resolve));
      shown.push(epoch, logs!['val_acc']!);
    },
  });
  const stopEarly = tfl.callbacks.earlyStopping({ monitor: 'val_loss', patience: 2 });
  await attach(model, byot({ at: ['early'], branch: 'linear' }));
  const history = await model.fitDataset(spirals('train'), {
    epochs: 40,
    validationData: validation,
    callbacks: [stopEarly, show],
  });

  const [, accuracy] = (await model.evaluateDataset(validation, {})) as tf.Scalar[];
  return {
    epochs: history.epoch.length,
    shownEpochs: shown.length / 2,
    accuracy: accuracy!.dataSync()[0]!,
  };
}
