import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { Batch } from './batch.js';
import { breathe } from './breathe.js';
import { toBatch } from './batches.js';
import { EspalierError } from '@espalier/errors';
import { keyedStream } from '@espalier/data';
import { weigh } from '@espalier/losses';
import { withoutMaskedFaults } from './masked.js';
import type { Run } from './run.js';
import { noteWatchingStates } from './watching-states.js';
import { disposeRaw } from '@espalier/data';
import type { RawBatch, Source } from '@espalier/data';

/**
 * Example-weighted metrics of a source: `loss`, the losses' own, and plugins'. Nothing where the
 * signal ended it between two batches: plugins that watch evaluations then have not seen it.
 */
export async function evaluate(
  run: Run,
  source: Source,
  signal?: AbortSignal,
): Promise<Record<string, number> | undefined> {
  if (!signal) return evaluateAll(run, source);
  const seen = noteWatchingStates(run);
  try {
    const metrics = await evaluateAll(run, source, signal);
    if (!metrics) seen.restore();
    return metrics;
  } finally {
    seen.dispose();
  }
}

async function evaluateAll(run: Run, source: Source, signal?: AbortSignal) {
  const sums = new Map<string, Sum>();
  let weight = 0;
  const stream = keyedStream(run.seed, 'evaluate');
  for await (const raw of source.iterate({ epoch: 0, skip: 0, stream })) {
    try {
      if (signal?.aborted) return undefined;
      weight += await addBatch(run, raw, sums);
    } finally {
      disposeRaw(raw);
    }
    await breathe();
  }
  if (weight === 0) throw nothingToEvaluate();
  return Object.fromEntries(
    [...sums].map(([name, { sum, weight }]) => [name, sum / (weight || 1)]),
  );
}

/** Of one metric; a plugin may give it for some batches only. */
interface Sum {
  readonly sum: number;
  readonly weight: number;
}

async function addBatch(run: Run, raw: RawBatch, sums: Map<string, Sum>): Promise<number> {
  const batch = await toBatch(raw, 'evaluate', run.batchSpec);
  const values = new Map<string, Tensor1D>();
  const packed = tf.tidy(() => {
    collect(run, withoutMaskedFaults(batch), values);
    const sum = (v: Tensor1D) => tf.sum(batch.weights ? weigh(v, batch.weights) : v);
    return tf.stack([...values.values()].map(sum));
  });
  const numbers = await packed.data();
  packed.dispose();
  [...values.keys()].forEach((name, i) => {
    const { sum, weight } = sums.get(name) ?? { sum: 0, weight: 0 };
    sums.set(name, { sum: sum + numbers[i]!, weight: weight + batch.weightSum });
  });
  return batch.weightSum;
}

function collect(run: Run, batch: Batch, values: Map<string, Tensor1D>): void {
  const { network, taps, losses, features, logits } = run;
  const how = { training: false, features, logits, writes: 'discard' } as const;
  const forward = network.execute(batch.inputs, how);
  const names = Object.keys(losses);
  const metric = (name: string, value: Tensor1D) => addMetric(values, batch, name, value);
  for (const name of names) {
    const [output, target] = [forward.outputs[name]!, batch.targets[name]!];
    const prefix = names.length === 1 ? '' : `${name}/`;
    metric(`${prefix}loss`, losses[name]!.perExample(output, target));
    for (const [each, value] of Object.entries(losses[name]!.metrics(output, target))) {
      metric(prefix + each, value);
    }
  }
  taps.call('evaluate', { ...forward, batch, targets: batch.targets, metric });
}

function addMetric(
  values: Map<string, Tensor1D>,
  batch: Batch,
  name: string,
  value: Tensor1D,
): void {
  if (value?.rank === 1 && value.size === batch.size && !values.has(name)) {
    values.set(name, tf.cast(value, 'float32'));
    return;
  }
  throw new EspalierError('evaluate/metric', {
    problem: values.has(name)
      ? `there is already a metric '${name}'`
      : `the metric '${name}' must have one value per example: [${batch.size}]`,
    received: value,
  });
}

function nothingToEvaluate(): EspalierError {
  return new EspalierError('source/empty', {
    problem: 'the evaluated source gave no example with a positive weight',
    fix: 'Check the data and the weights.',
  });
}
