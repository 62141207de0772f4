import { arraySource, createSession, disposeModel, meanSquaredError, tfjs } from '@espalier/core';
import type { GradientTransform, HostArray, Loss, SessionConfig } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { History, LayersModel, ModelCompileArgs, ModelFitArgs } from '@tensorflow/tfjs-layers';

type Arrays = HostArray | Readonly<Record<string, HostArray>>;

/** One training, told to `LayersModel.fit` and to a session of semantics 'tfjs'. */
export interface Training {
  readonly model: () => LayersModel;
  readonly x: Arrays;
  readonly y: Arrays;
  /** Default: momentum of rate 0.01. */
  readonly optimizer?: readonly [() => tf.Optimizer, () => GradientTransform];
  /** Default: mean squared error. */
  readonly loss?: readonly [ModelCompileArgs['loss'], SessionConfig['loss'] & (Loss | object)];
  /** What else `fit` is told. */
  readonly fit?: () => Partial<ModelFitArgs>;
  /** Of each example, where `fit` is told of classes. */
  readonly weights?: readonly number[];
}

const EPOCHS = 2;
const BATCH = 2;
const momentum = [
  () => tf.train.momentum(0.01, 0.9),
  () => tfjs.momentum({ learningRate: 0.01, momentum: 0.9 }),
] as const;

/** Numbers without a pattern that a layer could take for one. */
export const wave = (i: number): number => Math.sin(12.9898 * (i + 1));

/** The same first weights in every build; variances stay as they are. */
export function setWaves(model: LayersModel): LayersModel {
  const first = model.getWeights().map((old, k) => {
    if (model.weights[k]!.originalName.includes('variance')) return old;
    const values = Float32Array.from({ length: old.size }, (_, i) => 0.3 * wave(i + 17 * k));
    return tf.tensor(values, old.shape);
  });
  model.setWeights(first);
  return model;
}

/** What two epochs of both have done; statistics count as weights. */
export interface Comparison {
  /** The largest difference of a weight between the two. */
  readonly difference: number;
  /** The largest change of a weight of tfjs's. */
  readonly moved: number;
}

export async function compare(training: Training): Promise<Comparison> {
  const theirs = setWaves(training.model());
  const ours = setWaves(training.model());
  const before = valuesOf(theirs);
  compileAs(theirs, training);
  await fitTensors(theirs, training);
  await fitBySession(ours, training);
  const after = valuesOf(theirs);
  const difference = largestDifference(after, valuesOf(ours));
  [theirs, ours].forEach(disposeModel);
  return { difference, moved: largestDifference(before, after) };
}

export const valuesOf = (model: LayersModel) =>
  model.getWeights().map((weight) => weight.dataSync());

export function largestDifference(
  a: readonly tf.TypedArray[],
  b: readonly tf.TypedArray[],
): number {
  const differences = a.flatMap((values, k) =>
    [...values].map((value, i) => Math.abs(value - b[k]![i]!)),
  );
  return Math.max(...differences);
}

function compileAs(model: LayersModel, { optimizer = momentum, loss }: Training): void {
  model.compile({ optimizer: optimizer[0](), loss: loss?.[0] ?? 'meanSquaredError' });
}

/** Trains a compiled model. */
export function fitTensors(model: LayersModel, { x, y, fit }: Training): Promise<History> {
  const how = { epochs: EPOCHS, batchSize: BATCH, shuffle: false, verbose: 0 } as const;
  return model.fit(tensorsOf(x), tensorsOf(y), { ...how, ...fit?.() });
}

async function fitBySession(model: LayersModel, training: Training): Promise<void> {
  const { x, y, optimizer = momentum, loss, weights } = training;
  const session = await createSession({
    model,
    loss: loss?.[1] ?? meanSquaredError(),
    optimizer: optimizer[1](),
    semantics: 'tfjs',
    train: arraySource({
      x,
      y,
      batchSize: BATCH,
      shuffle: false,
      ...(weights && { weights: Float32Array.from(weights) }),
    }),
  });
  await session.fit({ epochs: EPOCHS });
  await session.dispose();
}

const tensorOf = ({ data, shape }: HostArray) => tf.tensor(data as Float32Array, [...shape]);
const isOne = (arrays: Arrays): arrays is HostArray => Array.isArray(arrays['shape']);
const tensorsOf = (arrays: Arrays): tf.Tensor | Record<string, tf.Tensor> =>
  isOne(arrays)
    ? tensorOf(arrays)
    : Object.fromEntries(Object.entries(arrays).map(([name, one]) => [name, tensorOf(one)]));

/** Above exact equality, what differs by rounding is told by a bound, which holds on any machine. */
export function boundOf(difference: number): string {
  if (difference === 0) return '0';
  const bound = [1e-7, 1e-6, 1e-5].find((each) => difference <= each);
  return bound ? `≤ ${bound}` : `**${difference.toPrecision(2)}**`;
}
