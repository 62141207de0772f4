/**
 * Low-rank adapters: a network learns the digits 0 to 9 upright, then only its adapters learn the same digits
 * turned by 90 degrees. Merged at export, the model has its first layers again and predicts the same.
 */
import { adam, createSession, crossEntropy } from '@espalier/core';
import type { Plugin } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { loadDigits, sourceOf } from '../digits/data.js';
import type { Digits } from '../digits/data.js';
import { lowRankAdapters } from './low-rank-adapters.js';

const upright = loadDigits({ train: 80, validation: 0, test: 50 });
const turned = { train: turn(upright.train), test: turn(upright.test) };

const base = await openSession(perceptron, upright.train);
await base.fit({ epochs: 6 });
const trained = base.export();
console.log(`800 upright digits: accuracy ${await accuracy(base, upright.test)}`);
console.log(`the same network on turned digits: ${await accuracy(base, turned.test)}`);

const session = await openSession(() => trained, turned.train, [lowRankAdapters({ rank: 4 })]);
const trainable = countNumbers(session.parameters({ trainable: true }));
console.log(`adapters train ${trainable} of ${countNumbers(session.parameters())} numbers`);
await session.fit({ epochs: 6 });
console.log(`adapted to turned digits: ${await accuracy(session, turned.test)}`);

const images = tf.tensor(turned.test.x.data, [...turned.test.x.shape]);
const merged = session.export({ dense: true });
const before = (await session.predict(images))['logits']!;
const difference = tf.max(tf.abs(tf.sub(before, merged.predict(images) as tf.Tensor)));
const [largest] = await difference.data();
const classes = merged.layers.map((layer) => layer.getClassName());
console.log(`merged: ${classes.join(', ')}; logits differ by at most ${largest!.toExponential(1)}`);

function perceptron(): LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.flatten({ inputShape: [28, 28, 1] }),
      tfl.layers.dense({ name: 'hidden', units: 64, activation: 'relu' }),
      tfl.layers.dense({ name: 'logits', units: 10 }),
    ],
  });
}

function openSession(model: () => LayersModel, train: Digits, plugins: readonly Plugin[] = []) {
  return createSession({
    model,
    plugins,
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 5e-3 }),
    train: sourceOf(train, 32, true),
    seed: 1,
    backend: { prefer: 'wasm' },
  });
}

async function accuracy(of: Awaited<ReturnType<typeof openSession>>, digits: Digits) {
  const metrics = await of.evaluate(sourceOf(digits, 128, false));
  return `${(100 * metrics['accuracy']!).toFixed(1)}%`;
}

function countNumbers(tensors: Readonly<Record<string, tf.Tensor>>): number {
  return Object.values(tensors).reduce((sum, { size }) => sum + size, 0);
}

/** Rows become columns: a quarter turn and a reflection. */
function turn({ x, y }: Digits): Digits {
  const side = 28;
  const data = x.data.map((_, i) => {
    const [image, row, column] = [Math.floor(i / side ** 2), Math.floor(i / side) % side, i % side];
    return x.data[image * side ** 2 + column * side + row]!;
  });
  return { x: { data, shape: x.shape }, y };
}
