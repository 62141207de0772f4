import { EspalierError, countMacsTo, viewModel } from '@espalier/core';
import type { Macs } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { makeBatches } from './batches.js';
import type { Examples } from './batches.js';
import { chooseExits, judgeExit, maxProbability } from './confidence.js';
import type { ExitPolicy, Verdicts } from './confidence.js';
import { runStage, cutStages } from './stages.js';
import type { Values } from './stages.js';

/** Options of {@link earlyExitCurve}. */
export interface EarlyExitCurveOptions {
  /** Default 0, 0.05, … 1, and 1.01, where every example goes to the end. */
  readonly thresholds?: readonly number[];
  readonly exits?: readonly string[];
  readonly policy?: ExitPolicy;
  readonly batchSize?: number;
}

/** One threshold of the curve. */
export interface CurvePoint {
  readonly threshold: number;
  readonly accuracy: number;
  /**
   * Mean multiply-accumulates per example as a fraction of the network without exits; `undefined` where
   * a layer does not tell its own (`listUncountedLayers` names it).
   */
  readonly macs: Macs;
  /** How many examples leave at each exit, shallowest first. */
  readonly histogram: readonly number[];
}

/** Logits of every exit for some examples. */
export interface ExitLogits {
  /** Shallowest first. */
  readonly exits: readonly string[];
  readonly classes: number;
  /** Multiply-accumulates per example of an early exit at each, exits passed included. */
  readonly macs: readonly Macs[];
  /** Of the network without the other exits. */
  readonly ownMacs: Macs;
  /** For each exit `[examples × classes]`. */
  readonly logits: readonly Float32Array[];
}

/**
 * Accuracy against cost for many thresholds: the logits of all exits are computed once, and every
 * threshold is replayed on them, with the decisions that `predictEarly` would make.
 *
 * @param labels Class ids `[examples]`.
 * @throws EspalierError `early-exit/…`.
 * @example
 * const curve = await earlyExitCurve(session.model, x, labels);
 * const cheapest = curve.find(({ accuracy }) => accuracy >= 0.97);
 */
export async function earlyExitCurve(
  model: LayersModel,
  x: Examples,
  labels: ArrayLike<number>,
  { thresholds = GRID, exits, policy = maxProbability, batchSize }: EarlyExitCurveOptions = {},
): Promise<readonly CurvePoint[]> {
  const cached = await exitLogits(model, x, { exits, batchSize });
  checkLabels(labels, cached);
  const verdicts = cached.logits.map((logits) => judgeExit(logits, cached.classes, policy));
  return thresholds.map((threshold) => computePoint(threshold, verdicts, labels, cached));
}

/**
 * Logits of every exit in one pass over the examples.
 *
 * @throws EspalierError `early-exit/…`.
 */
export async function exitLogits(
  model: LayersModel,
  x: Examples,
  { exits, batchSize = 128 }: Pick<EarlyExitCurveOptions, 'exits' | 'batchSize'> = {},
): Promise<ExitLogits> {
  const stages = cutStages(model, exits);
  const { examples, batches } = makeBatches(model, x, batchSize);
  const classes = stages[0]!.logits.shape[1]!;
  const logits = stages.map(() => new Float32Array(examples * classes));
  for (const { start, values } of batches()) {
    const outputs = tf.tidy(() => {
      let current: Values = values;
      return stages.map((stage) => {
        const result = runStage(stage, current);
        current = result.carried;
        return result.logits;
      });
    });
    const read = await Promise.all(outputs.map((output) => output.data<'float32'>()));
    read.forEach((data, i) => logits[i]!.set(data, start * classes));
    tf.dispose([outputs, [...values.values()]]);
  }
  return {
    exits: stages.map(({ exit }) => exit),
    classes,
    macs: stages.map(({ macs }) => macs),
    ownMacs: countMacsTo(viewModel(model), [stages.at(-1)!.exit]),
    logits,
  };
}

const GRID = [...Array.from({ length: 21 }, (_, i) => i / 20), 1.01];

function computePoint(
  threshold: number,
  verdicts: readonly Verdicts[],
  labels: ArrayLike<number>,
  { macs, ownMacs }: ExitLogits,
): CurvePoint {
  const chosen = chooseExits(verdicts, threshold);
  const histogram = verdicts.map(() => 0);
  for (const exit of chosen.exitOf) histogram[exit]! += 1;
  const right = chosen.labels.filter((label, example) => label === labels[example]).length;
  const cost = meanCost(histogram, macs);
  return {
    threshold,
    accuracy: right / labels.length,
    macs: cost === undefined || ownMacs === undefined ? undefined : cost / ownMacs,
    histogram,
  };
}

/** The mean cost of examples of which `counts` left at each exit; unknown where one of theirs is. */
export function meanCost(counts: readonly number[], macs: readonly Macs[]): Macs {
  let sum = 0;
  for (const [exit, count] of counts.entries()) {
    const cost = count === 0 ? 0 : macs[exit];
    if (cost === undefined) return undefined;
    sum += count * cost;
  }
  return sum / counts.reduce((a, b) => a + b, 0);
}

function checkLabels(labels: ArrayLike<number>, { logits, classes }: ExitLogits): void {
  const examples = logits[0]!.length / classes;
  if (labels.length === examples && examples > 0) return;
  throw new EspalierError('early-exit/labels', {
    problem: `there are ${examples} examples and ${labels.length} labels; a curve needs as many of each, and at least one`,
    fix: 'Pass class ids, one per example.',
  });
}
