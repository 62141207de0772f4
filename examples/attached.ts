/**
 * Training code of TensorFlow.js that was there before: compile, fit, validation data, callbacks. Two lines,
 * marked below, bring self-distillation (BYOT) into it. Nothing else changes.
 */
import { attach } from '@espalier/attach'; // <- added
import { useBackend } from '@espalier/backend';
import { predictEarly } from '@espalier/plugin-multi-exit';
import { byot } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { loadDigits } from './digits/data.js';
import type { Digits } from './digits/data.js';

const { dense } = tfl.layers;

await useBackend({ prefer: 'wasm' });
const digits = loadDigits({ train: 100, validation: 0, test: 50 });
const train = toTensors(digits.train);
const test = toTensors(digits.test);

const model = tfl.sequential({
  layers: [
    dense({ name: 'first', units: 64, activation: 'relu', inputShape: [784] }),
    dense({ name: 'second', units: 64, activation: 'relu' }),
    dense({ name: 'classes', units: 10, activation: 'softmax' }),
  ],
});
model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
const run = await attach(model, byot({ at: ['first'], branch: 'linear' })); // <- added

await model.fit(train.x, train.y, {
  epochs: 6,
  batchSize: 32,
  validationData: [test.x, test.y],
  verbose: 0,
  callbacks: [
    tfl.callbacks.earlyStopping({ monitor: 'val_loss', patience: 2 }),
    new tfl.CustomCallback({
      onEpochEnd: async (epoch, logs) =>
        console.log(`epoch ${epoch + 1}: validation accuracy ${percent(logs!['val_acc']!)}`),
    }),
  ],
});
const [, accuracy] = model.evaluate(test.x, test.y) as tf.Scalar[];
console.log(`your model, without what BYOT added: accuracy ${percent(accuracy!.dataSync()[0]!)}`);

const withExit = run.export({ outputs: ['exit_1', 'classes'] });
const early = await predictEarly(withExit, test.x, { threshold: 0.9 });
const leaving = early.exitOf.filter((exit) => exit === 0).length / early.exitOf.length;
console.log(`with the exit that it added: ${percent(leaving)} of the digits leave early`);
await run.detach();

function toTensors({ x, y }: Digits) {
  const images = tf.tensor2d(x.data as Float32Array, [x.shape[0]!, 784]);
  return { x: images, y: tf.oneHot(tf.tensor1d(y.data as Int32Array, 'int32'), 10) };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
