/**
 * A learning rate for each layer, learned while training (hypergradient descent, Baydin et al. 2018;
 * Meta-SGD, Li et al. 2017, learns one for each weight). The logarithms of the rates are the outer
 * variables of `bilevel`: before a step they move so that the loss of the next batch after that step
 * is lower. A plugin holds them, says how they make the virtual step, and scales the gradients.
 */
import {
  chain,
  createSession,
  crossEntropy,
  definePlugin,
  disposeRaw,
  keyedRng,
  sgd,
} from '@espalier/core';
import type { NamedTensors, Plugin, RawBatch, Session, GradientTransform } from '@espalier/core';
import { bilevel, INNER_OPTIMIZER, runProblem, verify } from '@espalier/plugin-bilevel';
import { table, toText } from '@espalier/report';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import * as z from 'zod';
import { loadDigits, sourceOf } from './digits/data.js';
import { overSeeds } from './digits/result.js';
import { machineLine } from './machine.js';

const RATES = 'learned-rates';

/** For an optimizer with the rate 1. */
const learnedRates = definePlugin({
  id: RATES,
  version: '1.0.0',
  options: z.strictObject({ initial: z.number().positive().default(0.01) }),
  effects: { gradients: 'modify', 'structure:networks': 'add' },
  stateless: true,
  apply(ctx, { initial }) {
    // As a network's weights they are parameters of the run: `bilevel` finds them, checkpoints hold them.
    ctx.addNetwork(() =>
      constants(layersOf(ctx.parameters({ trainable: true })), Math.log(initial)),
    );
    ctx.provide(INNER_OPTIMIZER, () => descent);
    ctx.hooks.gradients.tap((gradients) => scaled(gradients, ctx.parameters()));
  },
});

/** The virtual step: SGD at the rates that φ holds. */
function descent(phi: NamedTensors): GradientTransform {
  const scaling: GradientTransform = {
    name: RATES,
    init: () => ({}),
    update: (gradients, slots) => ({ updates: scaled(gradients, phi), state: slots }),
  };
  return chain(scaling, sgd({ learningRate: 1 }));
}

/** Gradients by path, each times the rate of its layer. */
function scaled(gradients: NamedTensors, phi: NamedTensors): NamedTensors {
  return Object.fromEntries(
    Object.entries(gradients).map(([path, gradient]) => {
      const logarithm = phi[pathOfRate(layerOf(path))];
      // A layer that came later has no rate of its own.
      return [path, logarithm ? tf.mul(gradient, tf.exp(tf.reshape(logarithm, []))) : gradient];
    }),
  );
}

/** A number for each name, as the one weight of a layer of that name. */
function constants(names: readonly string[], value: number): tfl.LayersModel {
  const input = tfl.input({ shape: [1] });
  const kernelInitializer = tfl.initializers.constant({ value });
  const outputs = names.map((name) => {
    const layer = tfl.layers.dense({ name, units: 1, useBias: false, kernelInitializer });
    return layer.apply(input) as tfl.SymbolicTensor;
  });
  return tfl.model({ inputs: input, outputs });
}

function layersOf(parameters: NamedTensors): string[] {
  return [...new Set(Object.keys(parameters).map(layerOf))];
}

function layerOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function pathOfRate(layer: string): string {
  return `${RATES}:${layer}/kernel`;
}

/** A way to train: plugins, and the rate of SGD. */
interface Recipe {
  readonly name: string;
  readonly plugins: readonly Plugin[];
  readonly learningRate: number;
}

const SEEDS = [1, 2, 3];
const EPOCHS = 5;
const BATCH_SIZE = 50;
const LAYERS = ['hidden1', 'hidden2', 'logits'];
const variables = [`${RATES}:*`];
const digits = loadDigits({ train: 100, validation: 50, test: 0 });
const train = sourceOf(digits.train, BATCH_SIZE, true);
const validation = sourceOf(digits.validation, 128, false);

const [tooSmall, good] = [0.01, 0.3];
await showHypergradient(learned(good));
const rows = [];
for (const recipe of [fixed(tooSmall), fixed(good), learned(tooSmall), learned(good)]) {
  const runs: Readonly<Record<string, number>>[] = [];
  for (const seed of SEEDS) runs.push(await trained(recipe, seed));
  const over = Object.keys(runs[0]!).map((key) => [key, overSeeds(runs.map((run) => run[key]!))]);
  rows.push({ rate: recipe.name, ...Object.fromEntries(over) });
}
const decimals = (digits: number) => ({ style: 'fixed', digits }) as const;
const columns = [
  { key: 'rate', label: 'rate' },
  { key: 'loss', label: 'loss', format: decimals(3) },
  { key: 'accuracy', label: 'accuracy', format: { style: 'percent', digits: 1 } as const },
  { key: 'seconds', label: 'seconds', format: decimals(1) },
  ...LAYERS.map((key) => ({ key, label: key, format: decimals(2) })),
];
console.log(`
Loss and accuracy on 500 validation images after ${EPOCHS} epochs of 1000, and the rates at the end;
seeds ${SEEDS.join(', ')}: mean [lowest, highest]
${toText(table({ columns, rows }))}
Learned rates make up for most of a bad start, at several times the time; from a good start they gain
nothing clear, since looking one step ahead favours small rates (Wu et al. 2018).`);

/** A perceptron for 28×28 digits with the layers LAYERS. */
function network(): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.flatten({ inputShape: [28, 28, 1], name: 'pixels' }),
      tfl.layers.dense({ name: 'hidden1', units: 64, activation: 'tanh' }),
      tfl.layers.dense({ name: 'hidden2', units: 32, activation: 'tanh' }),
      tfl.layers.dense({ name: 'logits', units: 10 }),
    ],
  });
}

function fixed(learningRate: number): Recipe {
  return { name: `fixed at ${learningRate}`, plugins: [], learningRate };
}

function learned(initial: number): Recipe {
  const options = { variables, estimator: 'first-order', learningRate: 0.05 } as const;
  const plugins = [learnedRates({ initial }), bilevel(options)];
  return { name: `learned from ${initial}`, plugins, learningRate: 1 };
}

function sessionOf({ plugins, learningRate }: Recipe, seed: number): Promise<Session> {
  return createSession({
    model: network,
    plugins,
    loss: crossEntropy(),
    optimizer: sgd({ learningRate }),
    train,
    seed,
    backend: { prefer: 'wasm' },
  });
}

async function trained(recipe: Recipe, seed: number) {
  const session = await sessionOf(recipe, seed);
  const started = performance.now();
  await session.fit({ epochs: EPOCHS });
  const seconds = (performance.now() - started) / 1000;
  const { loss, accuracy } = await session.evaluate(validation);
  const rates = await ratesOf(session, recipe);
  await session.dispose();
  return { loss: loss!, accuracy: accuracy!, seconds, ...rates };
}

/** The rates of the layers at this moment. */
async function ratesOf(session: Session, { learningRate }: Recipe) {
  const parameters = session.parameters();
  const rates = LAYERS.map(async (layer) => {
    const logarithm = await parameters[pathOfRate(layer)]?.data();
    return [layer, logarithm ? Math.exp(logarithm[0]!) : learningRate] as const;
  });
  return Object.fromEntries(await Promise.all(rates));
}

/** Prints how the estimators do on the first two batches, against brute force. */
async function showHypergradient(recipe: Recipe): Promise<void> {
  const session = await sessionOf(recipe, 1);
  const stream = keyedRng(1, 'two batches');
  const raws: RawBatch[] = [];
  for await (const raw of train.iterate({ epoch: 0, skip: 0, stream })) raws.push(raw);
  const [first, second] = raws;
  const problem = runProblem(session, {
    variables,
    microBatches: [await session.batch(first!, 'inner')],
    outer: await session.batch(second!, 'outer'),
    loss: ['task/*'],
    optimizer: descent,
  });
  const { text } = await verify(problem, { runs: 3 });
  console.log(
    `${machineLine(session.backend)}\nThe hypergradient by brute force and estimated:\n${text}`,
  );
  raws.forEach(disposeRaw);
  await session.dispose();
}
