/**
 * Whether meta-learned targets see through wrong labels: a fifth of the labels of 500 digits is wrong; how
 * often do the generator's targets name the right class of those images, by what trains it and for how long?
 * `npm run build && node examples/dist/metadistiller/label-noise.js`
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
import type { Estimate, NumberFormat } from '@espalier/report';
import { pairedDifference } from '@espalier/study';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import * as z from 'zod';
import { loadDigits, sourceOf } from '../digits/data.js';
import { only, withNoise } from '../digits/label-noise.js';
import { residualNetwork } from '../digits/network.js';
import { overSeeds } from '../digits/result.js';
import { machineLine } from '../machine.js';
import { MOMENTUM } from './setting.js';

/** Of all labels; drawn anew from ten classes, so that a fifth is wrong. */
const NOISE = 0.2 / 0.9;
/** When it is looked at. */
const EPOCHS = [5, 10, 15, 20];
const BATCH_SIZE = 50;
const SEEDS = [1, 2, 3, 4, 5];
const digits = loadDigits({ train: 50, validation: 10, test: 100 });
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

/** The soft loss counts as much as the labels, so that it matters what the targets say. */
const shared = { at: ['stage1', 'stage2'], alpha: 0.5 };
// As strong as the labels, so that it can pull against them.
const meta = { interval: 1, share: 1 };
const generatorUntil = (then: number) => ({ labelWeight: { steps: 30, then } });
const learned = (options: { readonly control?: 'random-sign' }) =>
  metadistiller({ ...shared, generator: generatorUntil(0.1), meta: { ...meta, ...options } });
const rows: Readonly<Record<string, Preset>> = {
  'labels, all along': metadistiller({ ...shared, meta: false }),
  'labels, 30 steps': metadistiller({ ...shared, generator: generatorUntil(0), meta: false }),
  'meta-learning, next batch': learned({}),
  'the same, random sign': learned({ control: 'random-sign' }),
  'meta-learning, 100 images to trust': {
    extends: learned({}),
    plugins: { bilevel: { bind: { 'outer-data': { use: () => trusted } } } },
  },
};

/** Shares of images, 0…1, after some epochs; of soft targets, the mean over both exits. */
interface Result {
  readonly epoch: number;
  /** Of the images with wrong labels: whose soft target names the right class. */
  readonly wrong: number;
  /** Of the others. */
  readonly right: number;
  /** Of the test images, by the last exit. */
  readonly accuracy: number;
}

const backend = await useBackend({ prefer: ['tfjs-node-gpu', 'wasm'], threads: 1 });
const results = new Map<string, (readonly Result[])[]>(Object.keys(rows).map((row) => [row, []]));
for (const seed of SEEDS) {
  for (const [row, preset] of Object.entries(rows)) {
    results.get(row)!.push(await trained(preset, seed));
    console.error(`seed ${seed} of ${SEEDS.length}: ${row}`);
  }
}
report();

async function trained(preset: Preset, seed: number): Promise<readonly Result[]> {
  const noisy = withNoise(digits.train, NOISE, seed);
  const train = sourceOf(noisy, BATCH_SIZE, true);
  const steps = EPOCHS.at(-1)! * train.batchesPerEpoch!;
  const session = await createSession({
    model: residualNetwork,
    preset: { extends: preset, plugins: { 'target-accuracy': { use: targetAccuracy } } },
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: cosineSchedule({ initial: 0.1, steps }), ...MOMENTUM }),
    train,
    seed,
  });
  const isWrong = (_: unknown, i: number) => noisy.y.data[i] !== digits.train.y.data[i];
  const targets = async (wrong: boolean) => {
    const part = only(digits.train, (label, i) => isWrong(label, i) === wrong);
    const metrics = await session.evaluate(sourceOf(part, 250, false));
    return (metrics['targets/exit_1']! + metrics['targets/exit_2']!) / 2;
  };
  const results: Result[] = [];
  for (const epoch of EPOCHS) {
    await session.fit({ untilEpoch: epoch });
    const [wrong, right] = [await targets(true), await targets(false)];
    const { accuracy } = await session.evaluate(test);
    results.push({ epoch, wrong, right, accuracy: accuracy! });
  }
  await session.dispose();
  return results;
}

function report(): void {
  const last = EPOCHS.length - 1;
  const values: Readonly<Record<string, (run: readonly Result[]) => number>> = {
    ...Object.fromEntries(
      EPOCHS.map((epoch, i) => [
        `wrong, ${epoch} epochs`,
        (run: readonly Result[]) => run[i]!.wrong,
      ]),
    ),
    [`right, ${EPOCHS[last]}`]: (run) => run[last]!.right,
    'test accuracy': (run) => run[last]!.accuracy,
  };
  const columnsAs = (format: NumberFormat) => [
    { key: 'row', label: 'what trains the generator' },
    ...Object.keys(values).map((key) => ({ key, label: key, format })),
  ];
  const cellsOf = (cell: (of: (run: readonly Result[]) => number) => Estimate | undefined) =>
    Object.fromEntries(Object.entries(values).map(([key, of]) => [key, cell(of)]));
  const means = [...results].map(([row, runs]) => ({
    row,
    ...cellsOf((of) => overSeeds(runs.map(of))),
  }));
  const [base, ...others] = results.keys();
  const differences = others.map((row) => ({
    row,
    ...cellsOf((of) => {
      const [runs, baseRuns] = [results.get(row)!, results.get(base!)!];
      const { mean, low, high } = pairedDifference(runs.map(of), baseRuns.map(of));
      return { value: 100 * mean, low: low && 100 * low, high: high && 100 * high };
    }),
  }));
  const percent = { style: 'percent', digits: 1 } as const;
  const points = { style: 'fixed', digits: 1 } as const;
  console.log(`${machineLine(backend)}

500 digits, a fifth of the labels wrong; seeds ${SEEDS.join(', ')}: mean [lowest, highest].
How often a soft target names the right class, for images with wrong and with right labels:
${toText(table({ columns: columnsAs(percent), rows: means }))}

Differences to '${base}' with the same seed, in points: mean [95 % interval of Student's t]
${toText(table({ columns: columnsAs(points), rows: differences }))}`);
}
