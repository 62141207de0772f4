import { EspalierError } from '@espalier/core';
import type { Macs } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { makeBatches } from './batches.js';
import type { Examples } from './batches.js';
import { isSure, judgeExit, maxProbability } from './confidence.js';
import type { ExitPolicy, Verdicts } from './confidence.js';
import { meanCost } from './early-exit-curve.js';
import { runStage, cutStages } from './stages.js';
import type { Stage, Values } from './stages.js';

/** Options of {@link predictEarly}. */
export interface PredictEarlyOptions {
  /** An example leaves at the first exit whose confidence reaches it; above 1: none before the last. */
  readonly threshold: number;
  /** Outputs that are exits; default: all of the model's. The deepest one takes what is left. */
  readonly exits?: readonly string[];
  /** How confidence is measured; default {@link maxProbability}. */
  readonly policy?: ExitPolicy;
  /** Default 128. */
  readonly batchSize?: number;
}

/** What an early-exit prediction gives, on the host. */
export interface EarlyPrediction {
  /** Exits, shallowest first. */
  readonly exits: readonly string[];
  /** Class ids `[examples]`. */
  readonly labels: Int32Array;
  /** `[examples × classes]`, row by row, each from the exit that its example took. */
  readonly probabilities: Float32Array;
  /** Index into `exits` for each example. */
  readonly exitOf: Int32Array;
  /** Mean multiply-accumulates per example, with those of all exits that it passed, if they are known. */
  readonly macs: Macs;
  /** Time that the whole prediction took. */
  readonly milliseconds: number;
}

/**
 * Predicts with early exit (BranchyNet, Teerapittayanon et al. 2016), in batches: rows that are
 * confident at an exit leave, the others are compacted and go on from where they are, so nothing is
 * computed twice. One asynchronous read per exit and batch.
 *
 * @param model A model with several outputs of logits `[batch, classes]`: `session.model`, or
 * `session.export({ outputs })`. It is only read.
 * @param x Examples; they stay the caller's.
 * @throws EspalierError `early-exit/…`.
 * @example
 * const { labels, exitOf, macs } = await predictEarly(session.model, x, { threshold: 0.9 });
 */
export async function predictEarly(
  model: LayersModel,
  x: Examples,
  { threshold, exits, policy = maxProbability, batchSize = 128 }: PredictEarlyOptions,
): Promise<EarlyPrediction> {
  checkThreshold(threshold);
  const stages = cutStages(model, exits);
  const { examples, batches } = makeBatches(model, x, batchSize);
  const classes = stages[0]!.logits.shape[1]!;
  const labels = new Int32Array(examples);
  const probabilities = new Float32Array(examples * classes);
  const exitOf = new Int32Array(examples);
  const started = performance.now();
  for (const { start, values } of batches()) {
    await descend(stages, values, threshold, (logits) => judgeExit(logits, classes, policy), {
      leave(row, exit, verdicts, position) {
        labels[start + row] = verdicts.labels[position]!;
        exitOf[start + row] = exit;
        const from = position * classes;
        const values = verdicts.probabilities.subarray(from, from + classes);
        probabilities.set(values, (start + row) * classes);
      },
    });
  }
  return {
    exits: stages.map(({ exit }) => exit),
    labels,
    probabilities,
    exitOf,
    macs: meanCost(
      stages.map((_, exit) => exitOf.filter((each) => each === exit).length),
      stages.map(({ macs }) => macs),
    ),
    milliseconds: performance.now() - started,
  };
}

/** Takes note that a row leaves: at which exit, and its position in what the exit says. */
interface Leaving {
  leave(row: number, exit: number, verdicts: Verdicts, position: number): void;
}

/** Sends one batch down the stages until every row has left. Disposes `values`. */
async function descend(
  stages: readonly Stage[],
  values: Values,
  threshold: number,
  verdictsOn: (logits: Float32Array) => Verdicts,
  { leave }: Leaving,
): Promise<void> {
  let current = values;
  let rows = Array.from({ length: [...values.values()][0]!.shape[0]! }, (_, row) => row);
  try {
    for (let exit = 0; rows.length > 0; exit++) {
      const last = exit === stages.length - 1;
      const { logits, carried } = runStage(stages[exit]!, current);
      dispose(current);
      current = carried;
      const verdicts = verdictsOn(await readAndDispose(logits));
      const staying: number[] = [];
      rows.forEach((row, position) => {
        if (last || isSure(verdicts.confidence[position]!, threshold)) {
          leave(row, exit, verdicts, position);
        } else staying.push(position);
      });
      if (staying.length > 0 && staying.length < rows.length) current = compact(current, staying);
      rows = staying.map((position) => rows[position]!);
    }
  } finally {
    dispose(current);
  }
}

/** Keeps the rows at these positions. Disposes `values`. */
function compact(values: Values, positions: readonly number[]): Values {
  const index = tf.tensor1d(positions as number[], 'int32');
  const kept = new Map([...values].map(([symbol, tensor]) => [symbol, tf.gather(tensor, index)]));
  index.dispose();
  dispose(values);
  return kept;
}

function dispose(values: Values): void {
  tf.dispose([...values.values()]);
}

async function readAndDispose(logits: tf.Tensor): Promise<Float32Array> {
  try {
    return await logits.data<'float32'>();
  } finally {
    logits.dispose();
  }
}

function checkThreshold(threshold: number): void {
  if (Number.isFinite(threshold)) return;
  throw new EspalierError('early-exit/threshold', {
    problem: 'threshold must be a finite number, compared with the confidence of each exit',
    received: threshold,
    fix: 'Pass e.g. threshold: 0.9; earlyExitCurve shows what each threshold costs.',
  });
}
