/**
 * Loops of one's own around a preset. In the first, `session.step` does one optimizer step with everything
 * that the preset's plugins do, and every hook fires as in a fit. In the second the optimizer is one's own:
 * `session.loss` is the whole loss, with the terms of all plugins.
 */
import { adam, createSession, crossEntropy, disposeRaw, keyedRng } from '@espalier/core';
import type { RawBatch } from '@espalier/core';
import { byot } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-core';
import { loadDigits, sourceOf } from './digits/data.js';
import { residualNetwork } from './digits/network.js';

const GOAL = 0.8;
const MOST_EPOCHS = 12;

const digits = loadDigits({ train: 60, validation: 30, test: 0 });
const train = sourceOf(digits.train, 20, true);
const validation = sourceOf(digits.validation, 128, false);

const session = await createSession({
  model: residualNetwork,
  preset: byot({ at: ['stage1', 'stage2'] }),
  loss: crossEntropy(),
  optimizer: adam({ learningRate: 1e-2 }),
  seed: 1,
  backend: { prefer: 'wasm' },
});

let accuracy = 0;
while (session.clock.epoch < MOST_EPOCHS && accuracy < GOAL) {
  const batches = await readEpoch(session.clock.epoch);
  await session.beginEpoch();
  for (const [i, batch] of batches.entries()) {
    await session.step(batch, { next: batches[i + 1], inEpoch: true });
    if (session.stopReason) break; // a plugin stopped the run
  }
  batches.forEach(disposeRaw);
  accuracy = (await session.evaluate(validation))['accuracy']!;
  const { clock, metrics } = await session.endEpoch({ 'val/accuracy': accuracy });
  console.log(
    `epoch ${clock.epoch + 1}, step ${clock.step}: loss ${metrics['loss']!.toFixed(2)}, ` +
      `validation accuracy ${(100 * accuracy).toFixed(1)}%`,
  );
}
await session.endFit();

// The same session goes on with an optimizer of TensorFlow.js.
const optimizer = tf.train.sgd(0.01);
for (const batch of await readEpoch(session.clock.epoch)) {
  const loss = optimizer.minimize(() => session.loss(batch), true)!;
  const { step } = session.clock;
  if (step % 10 === 0) console.log(`step ${step}: loss ${(await loss.data())[0]!.toFixed(2)}`);
  tf.dispose(loss);
  disposeRaw(batch);
}
accuracy = (await session.evaluate(validation))['accuracy']!;
console.log(`Validation accuracy at the end: ${(100 * accuracy).toFixed(1)}%.`);
optimizer.dispose();
await session.dispose();

/** The batches of an epoch, in an order of our own. */
async function readEpoch(epoch: number): Promise<readonly RawBatch[]> {
  const batches: RawBatch[] = [];
  const stream = keyedRng(1, 'own-loop', epoch);
  for await (const batch of train.iterate({ epoch, skip: 0, stream })) batches.push(batch);
  return batches;
}
