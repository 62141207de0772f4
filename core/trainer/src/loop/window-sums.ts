import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from '../batch/batch.js';
import type { StepGradients } from '../objective/objective.js';
import { sumByName } from '../objective/sum-by-name.js';

/** Loss and gradients of one micro-batch. */
interface Part extends StepGradients {
  /** Its share of the weight of all micro-batches of the step. */
  readonly share: number;
}

/** Gradients, unweighted terms and total loss of a step, over all its micro-batches. */
export interface WindowSums {
  readonly gradients: NamedTensors;
  readonly terms: NamedTensors;
  readonly total: Scalar;
  /** Metrics of the step by name. */
  readonly metrics: NamedTensors;
  /** By term: the plugin that replaced its value. */
  readonly replacedBy: Readonly<Record<string, string>>;
}

/**
 * The share of each micro-batch in a step: its weight over the weight of all, so that the sum of
 * share * loss is the mean over the examples of the step; equal shares where all weights are 0.
 *
 * @example
 * const shares = computeShares(microBatches);
 * const loss = tf.addN(microBatches.map((batch, i) => tf.mul(ctx.objective(batch), shares[i]!)));
 */
export function computeShares(microBatches: readonly Batch[]): readonly number[] {
  const weight = microBatches.reduce((sum, batch) => sum + batch.weightSum, 0);
  return microBatches.map((batch) =>
    weight > 0 ? batch.weightSum / weight : 1 / microBatches.length,
  );
}

/** The sums over micro-batches, each by its share; micro-batches may have different terms. */
export function sumMicroBatches(
  microBatches: readonly Batch[],
  evaluate: (batch: Batch) => StepGradients,
): WindowSums {
  const shares = computeShares(microBatches);
  const parts = microBatches.map((batch, i): Part => ({ ...evaluate(batch), share: shares[i]! }));
  const nameTerms = ({ terms, values }: Part) =>
    Object.fromEntries(terms.map(({ name }, i) => [name, values[i]!]));
  const [first] = parts as [Part];
  const replacedBy = Object.fromEntries(parts.flatMap(listReplacers));
  if (parts.length === 1) return { ...first, terms: nameTerms(first), replacedBy };
  const sum = (of: (part: Part) => NamedTensors) =>
    sumByName(parts.map((part) => scaleAll(of(part), part.share)));
  return {
    gradients: sum(({ gradients }) => gradients),
    terms: sum(nameTerms),
    total: sum(({ total }) => ({ total }))['total'] as Scalar,
    metrics: averageMetrics(parts),
    replacedBy,
  };
}

/** The mean of each metric over the micro-batches that have it, by their shares. */
function averageMetrics(parts: readonly Part[]): NamedTensors {
  const names = new Set(parts.flatMap(({ metrics }) => Object.keys(metrics)));
  return Object.fromEntries([...names].map((name) => [name, averageMetric(name, parts)]));
}

function averageMetric(name: string, parts: readonly Part[]): Tensor {
  const found = parts.filter(({ metrics }) => metrics[name]);
  const counted = found.filter(({ share }) => share > 0);
  const by = counted.reduce((sum, { share }) => sum + share, 0);
  if (counted.length < 2) return (counted[0] ?? found[0]!).metrics[name]!;
  return tf.addN(counted.map(({ metrics, share }) => tf.mul(metrics[name]!, share / by)));
}

function listReplacers({ terms }: Part): [string, string][] {
  return terms.flatMap(({ name, replacedBy }) => (replacedBy ? [[name, replacedBy]] : []));
}

function scaleAll(record: NamedTensors, by: number): NamedTensors {
  return Object.fromEntries(
    Object.entries(record).map(([name, tensor]) => [name, tf.mul(tensor, by)]),
  );
}
