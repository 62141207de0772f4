/**
 * Train a network with exits, then let easy images leave early: the lower the threshold, the more
 * leave, the fewer operations, and at some point the more mistakes.
 */
import { adam, cosineSchedule, createSession, crossEntropy } from '@espalier/core';
import { predictEarly } from '@espalier/plugin-multi-exit';
import type { EarlyPrediction } from '@espalier/plugin-multi-exit';
import { byot } from '@espalier/preset-baselines';
import { table, toText } from '@espalier/report';
import * as tf from '@tensorflow/tfjs-core';
import { loadDigits, sourceOf } from './digits/data.js';
import { residualNetwork } from './digits/network.js';

const NEVER = 1.01; // above every probability
const digits = loadDigits({ train: 60, validation: 0, test: 100 });

const session = await createSession({
  model: residualNetwork,
  preset: byot({ at: ['stage1', 'stage2'] }),
  loss: crossEntropy(),
  optimizer: adam({ learningRate: cosineSchedule({ initial: 1e-2, steps: 120 }) }),
  train: sourceOf(digits.train, 20, true),
  seed: 1,
  backend: { prefer: 'wasm' },
});
await session.fit({ epochs: 4 });

const { x, y } = digits.test;
const images = tf.tensor(x.data, [...x.shape]);
const toTheEnd = await predictEarly(session.model, images, { threshold: NEVER });
const rows = [];
for (const threshold of [0.3, 0.5, 0.7, 0.9, NEVER]) {
  const prediction = await predictEarly(session.model, images, { threshold });
  rows.push({
    threshold: threshold === NEVER ? 'never' : String(threshold),
    accuracy: accuracyOf(prediction),
    operations: prediction.macs! / toTheEnd.macs!,
    milliseconds: prediction.milliseconds / y.data.length,
    leave: prediction.exits.map((_, exit) => countAt(prediction, exit)).join(' / '),
  });
}
const percent = { style: 'percent', digits: 1 } as const;
const columns = [
  { key: 'threshold', label: 'leave from', align: 'right' },
  { key: 'accuracy', label: 'accuracy', format: percent },
  { key: 'operations', label: 'operations', format: percent },
  { key: 'milliseconds', label: 'ms per image', format: { style: 'fixed', digits: 2 } },
  { key: 'leave', label: `images at ${toTheEnd.exits.join(' / ')}`, align: 'right' },
] as const;
console.log(`1000 test images; an image leaves where the highest probability is at least “leave from”:
${toText(table({ columns, rows }))}`);
tf.dispose(images);
await session.dispose();

function accuracyOf({ labels }: EarlyPrediction): number {
  return labels.filter((label, i) => label === y.data[i]).length / labels.length;
}

function countAt({ exitOf }: EarlyPrediction, exit: number): number {
  return exitOf.filter((taken) => taken === exit).length;
}
