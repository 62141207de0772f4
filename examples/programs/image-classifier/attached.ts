import { attach } from '@espalier/attach';
import { labelSmoothing } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { linesInNoise } from '../patterns.js';

function createModel(): tfl.Sequential {
  const { layers } = tfl;
  const model = tfl.sequential();
  model.add(
    layers.conv2d({ inputShape: [8, 8, 1], filters: 6, kernelSize: 3, activation: 'relu' }),
  );
  model.add(layers.maxPooling2d({ poolSize: 2 }));
  model.add(layers.flatten());
  model.add(layers.dropout({ rate: 0.1 }));
  model.add(layers.dense({ units: 4, activation: 'softmax' }));
  return model;
}

/** An image classifier: `fit` on tensors, with a split for validation, accuracy and callbacks. */
export async function run() {
  const train = linesInNoise('train', 160);
  const test = linesInNoise('test', 80);
  const seen = { batches: 0, epochs: [] as number[] };

  const model = createModel();
  model.compile({
    optimizer: tf.train.adam(0.02),
    loss: 'categoricalCrossentropy',
    metrics: ['accuracy'],
  });
  await attach(model, labelSmoothing());
  const history = await model.fit(train.images, train.labels, {
    epochs: 5,
    batchSize: 16,
    validationSplit: 0.2,
    callbacks: {
      onBatchEnd: () => {
        seen.batches += 1;
      },
      onEpochEnd: (_, logs) => {
        seen.epochs.push(logs!['val_acc']!);
      },
    },
  });

  const [loss, accuracy] = model.evaluate(test.images, test.labels) as tf.Scalar[];
  return {
    ...seen,
    logged: Object.keys(history.history).sort(),
    testLoss: loss!.dataSync()[0]!,
    accuracy: accuracy!.dataSync()[0]!,
  };
}
