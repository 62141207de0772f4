/**
 * Methods as plain functions, in code without a LayersModel and without a session: two exits of a small
 * network in raw variables, trained by tf.train.sgd. The last exit teaches the first (self-distillation),
 * examples are mixed (mixup), labels are smoothed, easy digits leave early, and the first matrix is compressed.
 */
import { useBackend } from '@espalier/backend';
import { crossEntropy, keyedRng, stopGradient, toDistribution } from '@espalier/core';
import { drawMixup, mixExamples } from '@espalier/plugin-augmentation';
import { smoothLabels } from '@espalier/plugin-label-smoothing';
import { chooseExits, distillationLoss, judgeExit } from '@espalier/plugin-multi-exit';
import { compressMatrix, expandMatrix } from '@espalier/preset-group-reduce';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor2D, Variable } from '@tensorflow/tfjs-core';
import { loadDigits } from './digits/data.js';
import type { Digits } from './digits/data.js';

const [PIXELS, HIDDEN, CLASSES] = [784, 48, 10];
const [STEPS, BATCH] = [200, 50];

await useBackend({ prefer: 'wasm' });
const digits = loadDigits({ train: 100, validation: 0, test: 50 });
const train = toTensors(digits.train);
const test = toTensors(digits.test);
const size = train.x.shape[0];

const first = makeMatrix(PIXELS, HIDDEN, 1);
const second = makeMatrix(HIDDEN, HIDDEN, 2);
const shallowHead = makeMatrix(HIDDEN, CLASSES, 3);
const deepHead = makeMatrix(HIDDEN, CLASSES, 4);

const optimizer = tf.train.sgd(0.1);
for (let step = 0; step < STEPS; step++) {
  optimizer.minimize(() => loss(step));
}

const logits = tf.tidy(() => exits(test.x, first));
const verdicts = [];
for (const each of logits) verdicts.push(judgeExit(await each.data(), CLASSES));
for (const threshold of [0.5, 0.8, 0.95, 1.01]) {
  const { exitOf, labels } = chooseExits(verdicts, threshold);
  const early = exitOf.filter((exit) => exit === 0).length / exitOf.length;
  console.log(
    `threshold ${threshold}: ${percent(early)} leave early, accuracy ${percent(accuracy(labels))}`,
  );
}

const matrix = { data: (await first.data()) as Float32Array, rows: PIXELS, columns: HIDDEN };
const small = await compressMatrix(matrix, { ratio: 2, bits: 8 });
const close = tf.tensor2d(expandMatrix(small).data, [PIXELS, HIDDEN]);
const labels = tf.tidy(() => tf.argMax(exits(test.x, close)[1], 1));
console.log(
  `first matrix ${small.ratio.toFixed(1)} times smaller, relative error ${small.error.toFixed(2)}: ` +
    `accuracy of the last exit ${percent(accuracy(await labels.data()))}`,
);

/** Logits of both exits. */
function exits(x: Tensor2D, matrix: Tensor2D): [shallow: Tensor2D, deep: Tensor2D] {
  const shallow = tf.relu(tf.matMul(x, matrix));
  const deep = tf.relu(tf.matMul(shallow, second));
  return [tf.matMul(shallow, shallowHead), tf.matMul(deep, deepHead)];
}

/** The loss of one step. Its draws depend on the number of the step alone. */
function loss(step: number): Scalar {
  const rows = keyedRng(1, 'rows', step).permutation(size).slice(0, BATCH);
  const index = tf.tensor1d(rows, 'int32');
  const smoothed = smoothLabels(tf.gather(train.y, index), 0.05);
  const { partners, shares } = drawMixup(BATCH, keyedRng(1, 'mixup', step), { alpha: 0.2 });
  const labels = mixExamples(smoothed, partners, shares);
  const x = mixExamples(tf.gather(train.x, index), partners, shares);
  const [shallow, deep] = exits(x, first);
  const teacher = stopGradient(deep) as Tensor2D;
  const taught = distillationLoss(shallow, { teacher, labels, alpha: 0.3, temperature: 3 });
  return tf.mean(tf.add(taught, crossEntropy().perExample(deep, labels)));
}

function makeMatrix(rows: number, columns: number, seed: number): Variable<tf.Rank.R2> {
  const scale = Math.sqrt(2 / rows);
  return tf.variable(tf.randomNormal<tf.Rank.R2>([rows, columns], 0, scale, 'float32', seed));
}

/** Images as rows of pixels, labels as distributions. */
function toTensors({ x, y }: Digits) {
  const images = tf.tensor2d(x.data as Float32Array, [x.shape[0]!, PIXELS]);
  const ids = tf.tensor1d(y.data as Int32Array, 'int32');
  return { x: images, y: toDistribution(ids, [null, CLASSES]) as Tensor2D };
}

function accuracy(labels: ArrayLike<number>): number {
  const wanted = digits.test.y.data;
  return wanted.filter((label, i) => label === labels[i]).length / wanted.length;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
