/**
 * An ablation by one entry: BYOT, where the deepest exit teaches the others, against the same preset
 * with another teacher, the mean of all exits. Manifests say what differs; nothing else does.
 */
import {
  adam,
  cosineSchedule,
  createSession,
  crossEntropy,
  definePlugin,
  diffManifests,
  EXITS,
  SOFT_TARGETS,
  stopGradient,
} from '@espalier/core';
import type { Manifest, Preset } from '@espalier/core';
import { byot } from '@espalier/preset-baselines';
import { table, toText } from '@espalier/report';
import * as tf from '@tensorflow/tfjs-core';
import * as z from 'zod';
import { loadDigits, sourceOf } from './digits/data.js';
import { residualNetwork } from './digits/network.js';

/** Teaches every auxiliary exit the mean logits of all exits. */
const allExits = definePlugin({
  id: 'all-exits',
  version: '1.0.0',
  options: z.strictObject({}),
  stateless: true,
  apply(ctx) {
    ctx.provide(SOFT_TARGETS, () => ({
      name: 'all-exits',
      logits({ outputs }) {
        const { names } = ctx.get(EXITS);
        const mean = tf.div(tf.addN(names.map((name) => outputs[name]!)), names.length);
        const taught = stopGradient(mean) as tf.Tensor2D;
        return Object.fromEntries(names.slice(0, -1).map((name) => [name, taught]));
      },
    }));
  },
});

const original = byot({ at: ['stage1', 'stage2'] });
const swapped: Preset = {
  name: 'byot-all-exits',
  extends: original,
  plugins: { 'deepest-exit': { use: allExits } },
};

const digits = loadDigits({ train: 40, validation: 0, test: 50 });
const rows: Record<string, string | number>[] = [];
const manifests: Manifest[] = [];
for (const preset of [original, swapped]) {
  const { manifest, metrics } = await train(preset);
  manifests.push(manifest);
  rows.push({ preset: preset.name!, ...metrics });
}

console.log('What differs:');
diffManifests(manifests[0]!, manifests[1]!).forEach(({ text }) => console.log(`  ${text}`));
const format = { style: 'percent', digits: 1 } as const;
const columns = [
  { key: 'preset', label: 'preset' },
  { key: 'accuracy/exit_1', label: 'exit 1', format },
  { key: 'accuracy/exit_2', label: 'exit 2', format },
  { key: 'accuracy', label: 'own output', format },
];
console.log(`\nAccuracy of each exit on 500 test images:\n${toText(table({ columns, rows }))}`);
console.log('One seed shows how, not which is better: that takes several, paired.');

async function train(preset: Preset) {
  const session = await createSession({
    model: residualNetwork,
    preset,
    loss: crossEntropy(),
    optimizer: adam({ learningRate: cosineSchedule({ initial: 1e-2, steps: 80 }) }),
    train: sourceOf(digits.train, 20, true),
    seed: 1,
    backend: { prefer: 'wasm' },
  });
  await session.fit({ epochs: 4 });
  const metrics = await session.evaluate(sourceOf(digits.test, 128, false));
  const { manifest } = session.inspect();
  await session.dispose();
  return { manifest, metrics };
}
