/**
 * A loop of one's own around a preset: `session.step(batch)` does one optimizer step with everything
 * that the preset's plugins do; which batches, how many and when to stop is decided here.
 *
 * This loop takes two batches at a time and steps on the one that is harder, by the composed loss.
 */
import { adam, createSession, crossEntropy, disposeRaw, keyedRng } from '@espalier/core';
import type { RawBatch, Session } from '@espalier/core';
import { byot } from '@espalier/preset-baselines';
import { loadDigits, sourceOf } from './digits/data.js';
import { residualNetwork } from './digits/network.js';

const GOAL = 0.85;
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
for (let epoch = 0; epoch < MOST_EPOCHS && accuracy < GOAL; epoch++) {
  const stream = keyedRng(1, 'own-loop', epoch);
  let candidates: RawBatch[] = [];
  let loss = NaN;
  for await (const batch of train.iterate({ epoch, skip: 0, stream })) {
    candidates.push(batch);
    if (candidates.length < 2) continue;
    loss = (await session.step(await hardest(session, candidates))).total;
    candidates.forEach(disposeRaw);
    candidates = [];
  }
  candidates.forEach(disposeRaw);
  accuracy = (await session.evaluate(validation))['accuracy']!;
  console.log(
    `epoch ${epoch + 1}, step ${session.clock.step}: loss of the last step ${loss.toFixed(2)}, ` +
      `validation accuracy ${(100 * accuracy).toFixed(1)}%`,
  );
}
const reached = accuracy >= GOAL ? 'reached' : 'not reached';
console.log(`${100 * GOAL}% ${reached} after ${session.clock.step} steps.`);
await session.dispose();

/** The batch with the highest loss, all terms of the preset together. Nothing is trained by this. */
async function hardest(session: Session, batches: readonly RawBatch[]): Promise<RawBatch> {
  const losses: number[] = [];
  for (const [i, raw] of batches.entries()) {
    const loss = session.objective(await session.batch(raw, `candidate ${i}`));
    losses.push((await loss.data())[0]!);
    loss.dispose();
  }
  return batches[losses.indexOf(Math.max(...losses))]!;
}
