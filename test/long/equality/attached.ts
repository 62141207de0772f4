import { attach } from '@espalier/attach';
import { disposeModel } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { History, LayersModel, ModelCompileArgs } from '@tensorflow/tfjs-layers';
import { fitTensors, largestDifference, setWaves, valuesOf } from './measure.js';
import type { Training } from './measure.js';

/** What a program gets to see of its training: histories, logs, predictions. */
export type Seen =
  boolean | number | string | undefined | readonly Seen[] | { readonly [name: string]: Seen };

/** A training as a program of TensorFlow.js tells it. */
export interface Program {
  readonly model: () => LayersModel;
  /** Default: momentum of rate 0.01 and mean squared error. */
  readonly compile?: () => Partial<ModelCompileArgs>;
  readonly train: (model: LayersModel) => Promise<Seen>;
}

/** What a program does with `attach(model)` in front, against what it does without. */
export interface Equality {
  /** The largest difference of a weight. */
  readonly weights: number;
  /** The largest difference of a number that the program sees; infinite where it sees others. */
  readonly seen: number;
  /** The largest change of a weight of tfjs's. */
  readonly moved: number;
}

// In their own order: that of `getWeights` follows what is frozen.
const readAll = (weights: readonly tf.Tensor[]) =>
  weights.map((weight) => weight.dataSync().slice());

const byDefault = () => ({ optimizer: tf.train.momentum(0.01, 0.9), loss: 'meanSquaredError' });

export async function compareAttached({ model, compile, train }: Program): Promise<Equality> {
  const [theirs, ours] = [model(), model()].map(setWaves) as [LayersModel, LayersModel];
  const weightsOfTheirs = theirs.weights.map((weight) => weight.read());
  const before = readAll(weightsOfTheirs);
  for (const each of [theirs, ours]) each.compile({ ...byDefault(), ...compile?.() });
  const run = await attach(ours);
  const [expected, found] = [await train(theirs), await train(ours)];
  const weights = largestDifference(valuesOf(theirs), valuesOf(ours));
  const moved = largestDifference(before, readAll(weightsOfTheirs));
  await run.detach();
  [theirs, ours].forEach(disposeModel);
  return { weights, seen: differenceOf(expected, found), moved };
}

/** The same training as a program. */
export const programOf = (training: Training): Program => ({
  model: training.model,
  compile: () => ({
    ...(training.optimizer && { optimizer: training.optimizer[0]() }),
    ...(training.loss && { loss: training.loss[0] }),
  }),
  train: async (model) => readHistory(await fitTensors(model, training)),
});

export const readHistory = ({ epoch, history }: History): Seen => ({
  epoch,
  history: history as Record<string, number[]>,
});

function differenceOf(a: Seen, b: Seen): number {
  if (Object.is(a, b)) return 0;
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b);
  if (typeof a !== 'object' || typeof b !== 'object') return Infinity;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  if (String(keys) !== String(others)) return Infinity;
  const [first, second] = [a, b] as [Record<string, Seen>, Record<string, Seen>];
  return Math.max(0, ...keys.map((key) => differenceOf(first[key], second[key])));
}
