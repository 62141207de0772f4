/**
 * Whether meta-learned targets see through wrong labels: a fifth of the labels of 1000 digits is wrong;
 * how often do the generator's targets name the right class of those images, by what trains it?
 * `npm run build && node examples/dist/metadistiller/label-noise.js [seeds]`
 */
import { useBackend } from '@espalier/backend';
import {
  cosineSchedule,
  createSession,
  crossEntropy,
  definePlugin,
  sgd,
  SOFT_TARGETS,
} from '@espalier/core';
import type { Preset } from '@espalier/core';
import { metadistiller } from '@espalier/preset-metadistiller';
import { table, toText } from '@espalier/report';
import { pairedDifference } from '@espalier/study';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import * as z from 'zod';
import { loadDigits, sourceOf } from '../digits/data.js';
import { only, withNoise } from '../digits/label-noise.js';
import { residualNetwork } from '../digits/network.js';
import { overSeeds } from '../digits/result.js';
import { machineFacts } from '../machine.js';
import { MOMENTUM } from './budget.js';

/** Of all labels; drawn anew from ten classes, so that a fifth is wrong. */
const NOISE = 0.2 / 0.9;
const EPOCHS = 15;
const BATCH_SIZE = 50;
const SEEDS = Array.from({ length: Number(process.argv[2] ?? 8) }, (_, i) => i + 1);
const digits = loadDigits({ train: 100, validation: 10, test: 100 });
const trusted = sourceOf(digits.validation, BATCH_SIZE, true);
const test = sourceOf(digits.test, 250, false);

/** Accuracy of the soft targets, by exit. */
const targetAccuracy = definePlugin({
  id: 'target-accuracy',
  version: '1.0.0',
  options: z.strictObject({}),
  effects: {},
  stateless: true,
  apply(ctx) {
    ctx.needs(SOFT_TARGETS);
    ctx.hooks.evaluate.tap((context) => {
      const [labels] = Object.values(context.targets);
      for (const [exit, logits] of Object.entries(ctx.get(SOFT_TARGETS).logits(context))) {
        const right = tf.equal(tf.argMax(logits, -1), tf.cast(labels!, 'int32'));
        context.metric(`targets/${exit}`, right as Tensor1D);
      }
    });
  },
});

const at = ['stage1', 'stage2'];
const meta = { interval: 2 };
const frozen: Preset = { extends: metadistiller({ at }), plugins: { bilevel: false } };
const heldOut: Preset = {
  extends: metadistiller({ at, meta }),
  plugins: { bilevel: { bind: { 'outer-data': { use: () => trusted } } } },
};
const rows: Readonly<Record<string, Preset>> = {
  'labels, all along': metadistiller({ at, meta: false }),
  'labels, 30 steps': frozen,
  'meta-learning, next batch': metadistiller({ at, meta }),
  'meta-learning, 100 images to trust': heldOut,
};

/** Shares of images, 0…1. */
interface Result {
  /** Of the images with wrong labels: whose soft target names the right class. */
  readonly wrong: Readonly<Record<'exit_1' | 'exit_2', number>>;
  /** Of the others. */
  readonly right: Result['wrong'];
  /** Of the test images, by the last exit. */
  readonly accuracy: number;
}

const backend = await useBackend({ prefer: ['tfjs-node-gpu', 'wasm'], threads: 1 });
const results = new Map<string, Result[]>(Object.keys(rows).map((row) => [row, []]));
for (const seed of SEEDS) {
  for (const [row, preset] of Object.entries(rows)) {
    results.get(row)!.push(await trained(preset, seed));
    console.error(`seed ${seed} of ${SEEDS.length}: ${row}`);
  }
}
report();

async function trained(preset: Preset, seed: number): Promise<Result> {
  const noisy = withNoise(digits.train, NOISE, seed);
  const train = sourceOf(noisy, BATCH_SIZE, true);
  const session = await createSession({
    model: residualNetwork,
    preset: { extends: preset, plugins: { 'target-accuracy': { use: targetAccuracy } } },
    loss: crossEntropy(),
    optimizer: sgd({
      learningRate: cosineSchedule({ initial: 0.1, steps: EPOCHS * train.batchesPerEpoch! }),
      ...MOMENTUM,
    }),
    train,
    seed,
  });
  await session.fit({ epochs: EPOCHS });
  const isWrong = (_: unknown, i: number) => noisy.y.data[i] !== digits.train.y.data[i];
  const targets = async (wrong: boolean): Promise<Result['wrong']> => {
    const part = only(digits.train, (label, i) => isWrong(label, i) === wrong);
    const metrics = await session.evaluate(sourceOf(part, 250, false));
    return { exit_1: metrics['targets/exit_1']!, exit_2: metrics['targets/exit_2']! };
  };
  const [wrong, right] = [await targets(true), await targets(false)];
  const { accuracy } = await session.evaluate(test);
  await session.dispose();
  return { wrong, right, accuracy: accuracy! };
}

function report(): void {
  const percent = { style: 'percent', digits: 1 } as const;
  const values: Readonly<Record<string, (result: Result) => number>> = {
    'wrong labels, exit 1': ({ wrong }) => wrong.exit_1,
    'wrong labels, exit 2': ({ wrong }) => wrong.exit_2,
    'right labels, exit 1': ({ right }) => right.exit_1,
    'right labels, exit 2': ({ right }) => right.exit_2,
    'test accuracy': ({ accuracy }) => accuracy,
  };
  const columns = [
    { key: 'row', label: 'what trains the generator' },
    ...Object.keys(values).map((key) => ({ key, label: key, format: percent })),
  ];
  const rowsOf = [...results].map(([row, runs]) => {
    const cells = Object.entries(values).map(([key, of]) => [key, overSeeds(runs.map(of))]);
    return { row, ...Object.fromEntries(cells) };
  });
  const facts = Object.entries(machineFacts(backend)).map((fact) => fact.join(' '));
  console.log(`${facts.join(', ')}

1000 digits, a fifth of the labels wrong, ${EPOCHS} epochs; seeds ${SEEDS.join(', ')}: mean [lowest, highest].
How often a soft target names the right class, for images with wrong and with right labels:
${toText(table({ columns, rows: rowsOf }))}`);
  const [base, ...others] = results.keys();
  const differences = others.map((row) => {
    const cells = Object.entries(values).map(([key, of]) => {
      const [runs, baseRuns] = [results.get(row)!, results.get(base!)!];
      const { mean, low, high } = pairedDifference(runs.map(of), baseRuns.map(of));
      const interval = low === null ? {} : { low: 100 * low, high: 100 * high! };
      return [key, { value: 100 * mean, ...interval }];
    });
    return { row, ...Object.fromEntries(cells) };
  });
  const points = columns.map((column, i) =>
    i === 0 ? column : { ...column, format: { style: 'fixed', digits: 1 } as const },
  );
  console.log(`
Differences to '${base}' with the same seed, in points: mean [95 % interval of Student's t]
${toText(table({ columns: points, rows: differences }))}`);
}
