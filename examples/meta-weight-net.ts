/**
 * Meta-Weight-Net (Shu et al. 2019) as a plugin: 40 % of 1000 labels are drawn anew at random, those
 * of 100 more images can be trusted. A small network makes a weight of the loss of an example;
 * `bilevel` trains it so that a step with those weights lowers the loss of the trusted images.
 */
import { useBackend } from '@espalier/backend';
import { createSession, crossEntropy, definePlugin, sgd, stopGradient } from '@espalier/core';
import type { Preset, Session } from '@espalier/core';
import { bilevel } from '@espalier/plugin-bilevel';
import { table, toText } from '@espalier/report';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import * as z from 'zod';
import { loadDigits, sourceOf } from './digits/data.js';
import type { Digits } from './digits/data.js';
import { only, withNoise } from './digits/label-noise.js';
import { overSeeds } from './digits/result.js';
import { machineLine } from './machine.js';

/**
 * Adds to the loss what makes the task's term a weighted mean, with weights of mean 1 in each batch.
 * It leaves the task's term alone, since that is the outer loss too, where each example counts the same.
 */
const metaWeightNet = definePlugin({
  id: 'meta-weight-net',
  version: '1.0.0',
  options: z.strictObject({ units: z.int().positive().default(100) }),
  effects: { loss: 'add', 'structure:networks': 'add' },
  stateless: true,
  apply(ctx, { units }) {
    const network = ctx.addNetwork(() => weightNetwork(units));
    const weightsOf = (losses: Tensor1D) => {
      const inputs = { losses: tf.reshape(stopGradient(losses), [-1, 1]) };
      const { weights } = network.execute(inputs, { detach: true });
      return tf.reshape(weights!, [-1]) as Tensor1D;
    };
    ctx.hooks.loss.tap(({ outputs, targets, terms, mean }) => {
      for (const [name, loss] of Object.entries(ctx.losses)) {
        const losses = loss.perExample(outputs[name]!, targets[name]!);
        const weights = weightsOf(losses);
        const surplus = tf.sub(tf.div(weights, tf.add(mean(weights), 1e-8)), 1);
        terms.add(name, mean(tf.mul(surplus, losses)));
      }
    });
    ctx.hooks.evaluate.tap(({ outputs, targets, metric }) => {
      for (const [name, loss] of Object.entries(ctx.losses)) {
        metric(`weight/${name}`, weightsOf(loss.perExample(outputs[name]!, targets[name]!)));
      }
    });
  },
});

/** From losses `[batch, 1]` to weights in 0…1 `[batch, 1]`, with one hidden layer, as in the paper. */
function weightNetwork(units: number): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.inputLayer({ inputShape: [1], name: 'losses' }),
      tfl.layers.dense({ name: 'hidden', units, activation: 'relu' }),
      tfl.layers.dense({ name: 'weights', units: 1, activation: 'sigmoid' }),
    ],
  });
}

const NOISE = 0.4;
const CLASSES = 10;
// Not those that the rates were chosen with.
const SEEDS = [4, 5, 6];
const LEARNING_RATE = 0.3;
const STEPS = 120;
const digits = loadDigits({ train: 100, validation: 10, test: 100 });
const trusted = digits.validation;
const test = sourceOf(digits.test, 250, false);

const weighted: Preset = {
  plugins: {
    'meta-weight-net': { use: metaWeightNet },
    bilevel: {
      use: bilevel,
      options: {
        variables: ['meta-weight-net:*'],
        innerLearningRate: LEARNING_RATE,
        learningRate: 3e-3,
      },
      bind: { 'outer-data': { use: () => sourceOf(trusted, 50, true) } },
    },
  },
};

/** A way to train, and what it makes of the noisy data. */
interface Recipe {
  readonly name: string;
  readonly preset: Preset;
  readonly data: (noisy: Digits) => Digits;
}

const plain: Preset = { plugins: {} };
const recipes: readonly Recipe[] = [
  { name: 'plain, trusted images alone', preset: plain, data: () => trusted },
  { name: 'plain, all images', preset: plain, data: (noisy) => joined(noisy, trusted) },
  { name: 'Meta-Weight-Net', preset: weighted, data: (noisy) => noisy },
];

const rows = [];
for (const recipe of recipes) {
  const runs: Readonly<Record<string, number>>[] = [];
  for (const seed of SEEDS) runs.push(await trained(recipe, seed));
  const over = Object.keys(runs[0]!).map((key) => [key, overSeeds(runs.map((run) => run[key]!))]);
  rows.push({ recipe: recipe.name, ...Object.fromEntries(over) });
}
const decimals = (digits: number) => ({ style: 'fixed', digits }) as const;
const columns = [
  { key: 'recipe', label: 'trained' },
  { key: 'accuracy', label: 'accuracy', format: { style: 'percent', digits: 1 } as const },
  { key: 'right', label: 'weight of right labels', format: decimals(2) },
  { key: 'wrong', label: 'of wrong ones', format: decimals(2) },
  { key: 'seconds', label: 'seconds', format: decimals(1) },
];
console.log(`${machineLine(await useBackend({ prefer: 'wasm' }))}

1000 images with noise, 100 trusted ones, about ${STEPS} steps. Accuracy on 1000 test images with right labels;
weights are relative to the mean over all noisy images. Seeds ${SEEDS.join(', ')}: mean [lowest, highest]
${toText(table({ columns, rows }))}
Nobody told it which labels are wrong: it learned to believe small losses more than large ones, since
that lowers the loss of the trusted images.`);

/** A perceptron for 28×28 digits. */
function network(): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.flatten({ inputShape: [28, 28, 1], name: 'pixels' }),
      tfl.layers.dense({ name: 'hidden', units: 64, activation: 'relu' }),
      tfl.layers.dense({ name: 'logits', units: CLASSES }),
    ],
  });
}

async function trained({ preset, data }: Recipe, seed: number) {
  const noisy = withNoise(digits.train, NOISE, seed);
  const train = sourceOf(data(noisy), 50, true);
  const session = await createSession({
    model: network,
    preset,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: LEARNING_RATE }),
    train,
    seed,
    backend: { prefer: 'wasm' },
  });
  const started = performance.now();
  await session.fit({ epochs: Math.round(STEPS / train.batchesPerEpoch!) });
  const seconds = (performance.now() - started) / 1000;
  const { accuracy } = await session.evaluate(test);
  const weights = await meanWeights(session, noisy);
  await session.dispose();
  return { accuracy: accuracy!, seconds, ...weights };
}

/** Mean weights of the images with right and with wrong labels, over that of all; none without a plugin. */
async function meanWeights(session: Session, noisy: Digits): Promise<Record<string, number>> {
  const isRight = (_: unknown, i: number) => noisy.y.data[i] === digits.train.y.data[i];
  const weightOf = async (part: Digits) =>
    (await session.evaluate(sourceOf(part, 250, false)))['weight/logits'];
  const [all, right, wrong] = [
    await weightOf(noisy),
    await weightOf(only(noisy, isRight)),
    await weightOf(only(noisy, (label, i) => !isRight(label, i))),
  ];
  return all === undefined ? {} : { right: right! / all, wrong: wrong! / all };
}

function joined(a: Digits, b: Digits): Digits {
  const count = a.y.data.length + b.y.data.length;
  return {
    x: {
      data: Float32Array.from([...a.x.data, ...b.x.data]),
      shape: [count, ...a.x.shape.slice(1)],
    },
    y: { data: Int32Array.from([...a.y.data, ...b.y.data]), shape: [count] },
  };
}
