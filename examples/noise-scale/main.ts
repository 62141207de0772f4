/**
 * The gradient noise scale of a small network on digits, epoch by epoch: a step sees 64 images, in micro-batches of
 * 8. Where the scale is above 64, a larger batch would help; where it is below, a smaller one would do.
 */
import { adam, createSession, crossEntropy } from '@espalier/core';
import { loadDigits, sourceOf } from '../digits/data.js';
import { smallNetwork } from '../small-network.js';
import { noiseScale } from './noise-scale.js';

const digits = loadDigits({ train: 80, validation: 10, test: 0 });
const session = await createSession({
  model: smallNetwork,
  plugins: [noiseScale({ every: 2 })],
  loss: crossEntropy(),
  optimizer: adam({ learningRate: 5e-3 }),
  train: sourceOf(digits.train, 8, true),
  validation: sourceOf(digits.validation, 100, false),
  accumulate: 8,
  seed: 1,
  backend: { prefer: 'wasm' },
});
console.log('epoch   loss   noise scale, in examples (a step sees 64)');
session.telemetry.on('epoch', ({ epoch, metrics }) => {
  const scale = metrics['val/noise-scale'];
  const text = scale === undefined ? 'not known yet' : Math.round(scale);
  console.log(`${epoch}       ${metrics['loss']!.toFixed(2)}   ${text}`);
});
await session.fit({ epochs: 8 });
await session.dispose();
