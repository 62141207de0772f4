import { countMacsTo, viewModel } from '@espalier/core';
import type { Macs, ModelView } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { findAncestors } from '../exits/dependencies.js';
import { makeBatches } from './batches.js';
import type { Examples } from './batches.js';
import { judgeExit, maxProbability } from './confidence.js';
import { exitLogits } from './early-exit-curve.js';
import { compute, cutStages } from './stages.js';
import type { Stage, Values } from './stages.js';

/** Options of {@link profileExits}. */
export interface ProfileExitsOptions {
  /** Class ids `[examples]`, for the accuracy. */
  readonly labels?: ArrayLike<number>;
  readonly exits?: readonly string[];
  /** Examples in a measured batch; default 32, at most as many as there are. */
  readonly batchSize?: number;
  /** How often each exit is measured, after one run that is not; default 5. */
  readonly repeats?: number;
}

/** What one exit can do and what it costs, when the network is run up to it alone. */
export interface ExitProfile {
  readonly exit: string;
  /** Of all examples, if labels were given. */
  readonly accuracy?: number;
  /** Multiply-accumulates per example, if every layer tells its own. */
  readonly macs: Macs;
  readonly parameters: number;
  /** Median of the measured time per example. */
  readonly milliseconds: number;
}

/**
 * Runs the network up to each exit, other exits left out, and measures. The exits take turns, so that
 * a slow moment of the machine hits all of them.
 *
 * @throws EspalierError `early-exit/…`.
 * @example
 * const rows = await profileExits(session.model, x, { labels });
 * console.table(rows);
 */
export async function profileExits(
  model: LayersModel,
  x: Examples,
  { labels, exits, batchSize = 32, repeats = 5 }: ProfileExitsOptions = {},
): Promise<readonly ExitProfile[]> {
  const view = viewModel(model);
  const stages = cutStages(model, exits);
  const accuracies = labels && (await computeAccuracies(model, x, labels, { exits, batchSize }));
  const times = await measureExits(model, x, stages, batchSize, repeats);
  return stages.map(({ exit }, i) => ({
    exit,
    ...(accuracies && { accuracy: accuracies[i]! }),
    macs: countMacsTo(view, [exit]),
    parameters: countParameters(view, exit),
    milliseconds: median(times[i]!),
  }));
}

async function measureExits(
  model: LayersModel,
  x: Examples,
  stages: readonly Stage[],
  batchSize: number,
  repeats: number,
): Promise<readonly number[][]> {
  const [batch] = makeBatches(model, x, batchSize).batches();
  const { values } = batch!;
  const rows = [...values.values()][0]!.shape[0]!;
  const times = stages.map((): number[] => []);
  try {
    for (let repeat = 0; repeat <= repeats; repeat++) {
      for (const [i, stage] of stages.entries()) {
        const time = await measureTime(stage, values);
        if (repeat > 0) times[i]!.push(time / rows);
      }
    }
  } finally {
    tf.dispose([...values.values()]);
  }
  return times;
}

async function measureTime({ logits }: Stage, values: Values): Promise<number> {
  const started = performance.now();
  const result = tf.tidy(() => tf.clone(compute(logits, new Map(values))));
  await result.data();
  const time = performance.now() - started;
  result.dispose();
  return time;
}

async function computeAccuracies(
  model: LayersModel,
  x: Examples,
  labels: ArrayLike<number>,
  options: Pick<ProfileExitsOptions, 'exits' | 'batchSize'>,
): Promise<readonly number[]> {
  const { logits, classes } = await exitLogits(model, x, options);
  return logits.map((each) => {
    const verdicts = judgeExit(each, classes, maxProbability);
    return verdicts.labels.filter((label, i) => label === labels[i]).length / labels.length;
  });
}

function countParameters(view: ModelView, exit: string): number {
  const needed = findAncestors(view, exit);
  const counts = view.layers.filter(({ name }) => needed.has(name)).map((each) => each.parameters);
  return counts.reduce((a, b) => a + b, 0);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
