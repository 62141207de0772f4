/**
 * A network without a LayersModel: variables, a function and an optimizer of TensorFlow.js. `attach` brings label
 * smoothing and a term of a plugin's own into its loss; the loop stays as it was.
 */
import { attach } from '@espalier/attach';
import { useBackend } from '@espalier/backend';
import { keyedRng } from '@espalier/core';
import { labelSmoothing } from '@espalier/plugin-label-smoothing';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { loadDigits } from './digits/data.js';
import type { Digits } from './digits/data.js';

const [PIXELS, HIDDEN, CLASSES] = [784, 48, 10];
const [STEPS, BATCH] = [150, 50];

await useBackend({ prefer: 'wasm' });
const digits = loadDigits({ train: 100, validation: 0, test: 50 });
const train = toTensors(digits.train);
const test = toTensors(digits.test);

const params = {
  w1: makeMatrix(PIXELS, HIDDEN, 1),
  b1: tf.variable(tf.zeros([HIDDEN])),
  w2: makeMatrix(HIDDEN, CLASSES, 2),
  b2: tf.variable(tf.zeros([CLASSES])),
};
const apply = ({ w1, b1, w2, b2 }: Record<keyof typeof params, Tensor>, x: Tensor): Tensor =>
  tf.add(tf.matMul(tf.relu(tf.add(tf.matMul(x, w1), b1)), w2), b2);

const run = await attach(
  { params, apply, loss: tf.losses.softmaxCrossEntropy, inputShape: [PIXELS] },
  labelSmoothing({ epsilon: 0.1 }),
);
const optimizer = tf.train.sgd(0.1);
for (let step = 0; step < STEPS; step++) {
  const batch = takeBatch(step);
  const loss = optimizer.minimize(() => run.loss(batch), true)!;
  if ((step + 1) % 50 === 0) {
    console.log(`step ${step + 1}: loss ${(await loss.data())[0]!.toFixed(2)}`);
  }
  tf.dispose([loss, batch.x, batch.y]);
}

const found = tf.tidy(() => tf.argMax(apply(params, test.x), 1).dataSync());
const right = digits.test.y.data.filter((label, i) => label === found[i]).length;
console.log(`accuracy ${((100 * right) / found.length).toFixed(1)} %`);
await run.detach();

function takeBatch(step: number) {
  const rows = keyedRng(1, 'rows', step).permutation(train.x.shape[0]).slice(0, BATCH);
  return tf.tidy(() => ({ x: tf.gather(train.x, rows), y: tf.gather(train.y, rows) }));
}

function makeMatrix(rows: number, columns: number, seed: number) {
  return tf.variable(tf.randomNormal([rows, columns], 0, Math.sqrt(2 / rows), 'float32', seed));
}

function toTensors({ x, y }: Digits) {
  const images = tf.tensor2d(x.data as Float32Array, [x.shape[0]!, PIXELS]);
  return { x: images, y: tf.oneHot(tf.tensor1d(y.data as Int32Array, 'int32'), CLASSES) };
}
