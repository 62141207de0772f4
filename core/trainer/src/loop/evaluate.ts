import { EspalierError, keyedRng, readLater, refuseForeignTensor } from '@espalier/base';
import { disposeRaw } from '@espalier/data';
import type { RawBatch, Source } from '@espalier/data';
import { weigh } from '@espalier/losses';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import type { Batch } from '../batch/batch.js';
import { withoutMaskedFaults } from '../batch/masked.js';
import { checkWeighsSteps, computeCounts } from '../batch/step-weights.js';
import { readBatch } from '../batch/to-batch.js';
import { checkOutputShape } from '../objective/heads.js';
import { computeLoss, computeMetrics } from '../objective/task-loss.js';
import type { Run } from '../run.js';
import { Gathered } from './gathered.js';
import { noteWatchingStates } from './watching-states.js';
import { yieldToEventLoop } from './yield-to-event-loop.js';

/**
 * Example-weighted metrics of a source: `loss`, those of the losses, and those of plugins; NaN where no
 * example counts. Undefined where the signal ended it between two batches: plugins that tap `evaluate` then
 * have the state from before it.
 */
export async function evaluate(
  run: Run,
  source: Source,
  signal?: AbortSignal,
): Promise<Record<string, number> | undefined> {
  if (!signal) return evaluateAll(run, source);
  const noted = noteWatchingStates(run);
  try {
    const metrics = await evaluateAll(run, source, signal);
    if (!metrics) noted.restore();
    return metrics;
  } finally {
    noted.dispose();
  }
}

async function evaluateAll(run: Run, source: Source, signal?: AbortSignal) {
  const sums = new Map<string, Sum>();
  const gathered = new Gathered();
  let weight = 0;
  const stream = keyedRng(run.settings.seed, 'evaluate');
  for await (const raw of source.iterate({ epoch: 0, skip: 0, stream })) {
    try {
      if (signal?.aborted) return undefined;
      weight += await addBatch(run, raw, sums, gathered);
    } finally {
      disposeRaw(raw);
    }
    await yieldToEventLoop();
  }
  const counts = [...sums.values()].some((each) => each.weight > 0);
  if (weight === 0 || !counts) throw emptySourceError();
  const means = [...sums].map(([name, { sum, weight }]) => [name, sum / weight] as const);
  return nameOnce([...means, ...gathered.compute()]);
}

/** Of one metric; a plugin may give it for some batches only. */
interface Sum {
  readonly sum: number;
  readonly weight: number;
}

/** A metric's values per example, and what they count by. */
interface WeightedMetric {
  readonly values: Tensor1D;
  /** Absent: the batch's weights. */
  readonly weights: Tensor1D | undefined;
}

/** @throws EspalierError `evaluate/metric` for two metrics of one name. */
function nameOnce(metrics: readonly (readonly [string, number])[]): Record<string, number> {
  const named: Record<string, number> = {};
  for (const [name, value] of metrics) {
    if (Object.hasOwn(named, name)) throw twoMetricsError(name, value);
    named[name] = value;
  }
  return named;
}

async function addBatch(
  run: Run,
  raw: RawBatch,
  sums: Map<string, Sum>,
  gathered: Gathered,
): Promise<number> {
  const spec = { ...run.batches.spec, countsExamples: false };
  const batch = await readLater(readBatch(raw, 'evaluate', spec));
  const metrics = new Map<string, WeightedMetric>();
  const packed = tf.tidy(() => {
    const clean = withoutMaskedFaults(batch, run.structure.network.idInputs);
    collectMetrics(run, clean, metrics, gathered);
    const sums = tf.stack([...metrics.values()].flatMap(sumMetric)) as Tensor1D;
    return tf.concat1d([sums, ...gathered.pack()]);
  });
  const numbers = await packed.data();
  packed.dispose();
  gathered.read(numbers, 2 * metrics.size);
  [...metrics].forEach(([name, { weights }], i) => {
    const { sum, weight } = sums.get(name) ?? { sum: 0, weight: 0 };
    const [more, counted] = [numbers[2 * i]!, numbers[2 * i + 1]!];
    sums.set(name, { sum: sum + more, weight: weight + (weights ? counted : batch.size) });
  });
  return batch.weightSum;
}

/** The sum of the values by weight, and that of the weights. */
function sumMetric({ values, weights }: WeightedMetric): Scalar[] {
  if (!weights) return [tf.sum(values), tf.scalar(0)];
  return [tf.sum(weigh(values, weights)), tf.sum(weights)];
}

function collectMetrics(
  run: Run,
  given: Batch,
  metrics: Map<string, WeightedMetric>,
  gathered: Gathered,
): void {
  const { taps, evaluatedAt } = run;
  const { losses, logits, semantics } = run.settings;
  const { network, features } = run.structure;
  const masks = semantics === 'espalier';
  const substitute = evaluatedAt && new Map(Object.entries(evaluatedAt.values()));
  const how = { training: false, features, logits, writes: 'discard', masks, substitute } as const;
  const forward = network.execute(given.inputs, how);
  const { targets } = given;
  const { batch, steps, present } = computeCounts(given, targets, forward.masks);
  const weights = batch.weights as Tensor1D | undefined;
  const names = Object.keys(losses);
  for (const name of names) {
    const [loss, prediction] = [losses[name]!, forward.outputs[name]!];
    const prefix = names.length === 1 ? '' : `${name}/`;
    const by = present[name] ?? weights;
    checkOutputShape(name, prediction, network.outputShapes[name]!);
    checkWeighsSteps(name, loss, steps[name]);
    const lossArguments = {
      ...{ output: name, size: batch.size, steps: steps[name] },
      ...{ prediction, target: targets[name]! },
    };
    const values = computeMetrics(loss, lossArguments);
    addMetric(metrics, batch, `${prefix}loss`, computeLoss(loss, lossArguments), by);
    for (const [each, value] of Object.entries(values)) {
      addMetric(metrics, batch, prefix + each, value, by);
    }
  }
  const { outputs, features: found } = forward;
  const metric = (name: string, value: Tensor1D) => addMetric(metrics, batch, name, value, weights);
  const shared = { outputs, features: found, batch, targets, steps, metric };
  taps.callViews('evaluate', ({ id: plugin }) => ({
    ...shared,
    gather: (name, tensors, compute) => gathered.ask({ plugin, name, tensors, compute }),
  }));
}

function addMetric(
  metrics: Map<string, WeightedMetric>,
  batch: Batch,
  name: string,
  value: Tensor1D,
  weights: Tensor1D | undefined,
): void {
  refuseForeignTensor(`the metric '${name}'`, value);
  if (value?.rank === 1 && value.size === batch.size && !metrics.has(name)) {
    metrics.set(name, { values: tf.cast(value, 'float32'), weights });
    return;
  }
  if (metrics.has(name)) throw twoMetricsError(name, value);
  throw new EspalierError('evaluate/metric', {
    problem: `the metric '${name}' must have one value per example: [${batch.size}]`,
    received: value,
  });
}

function twoMetricsError(name: string, received: unknown): EspalierError {
  return new EspalierError('evaluate/metric', {
    problem: `there is already a metric '${name}'`,
    received,
  });
}

function emptySourceError(): EspalierError {
  return new EspalierError('source/empty', {
    problem:
      'the evaluated source gave no example with a positive weight and a step that is not masked',
    fix: 'Check the data, the weights and the ids or values that are masked.',
  });
}
