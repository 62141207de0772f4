// What a user's first script does: train with a preset, save, and go on in a second session.
import { useBackend } from '@espalier/backend';
import { adam, arraySource, createSession, crossEntropy } from '@espalier/core';
import { fileStore } from '@espalier/core/node';
import { byot } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-layers';

const model = () =>
  tf.sequential({
    layers: [
      tf.layers.conv2d({ name: 'stem', filters: 4, kernelSize: 3, inputShape: [6, 6, 1] }),
      tf.layers.conv2d({ filters: 4, kernelSize: 3, activation: 'relu' }),
      tf.layers.globalAveragePooling2d({}),
      tf.layers.dense({ units: 2 }),
    ],
  });
const data = Float32Array.from(
  { length: 16 * 36 },
  (_, i) => (Math.floor(i / 36) % 2) + (i % 5) / 10,
);
const train = arraySource({
  x: { data, shape: [16, 6, 6, 1] },
  y: { data: Int32Array.from({ length: 16 }, (_, i) => i % 2), shape: [16] },
  batchSize: 4,
});
const backend = await useBackend({ prefer: 'wasm' });

async function fit(epochs) {
  const session = await createSession({
    backend,
    model,
    train,
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 0.05 }),
    preset: byot({ at: ['stem'], branch: 'linear', hint: 0 }),
    checkpoint: { store: fileStore('runs') },
  });
  const resumed = await session.load();
  const { history } = await session.fit({ untilEpoch: epochs });
  const losses = history.map(({ metrics }) => metrics.loss);
  await session.dispose();
  return { resumed, losses };
}

const result = { line: backend.line, first: await fit(2), second: await fit(6) };
backend.dispose();
console.log(JSON.stringify(result));
