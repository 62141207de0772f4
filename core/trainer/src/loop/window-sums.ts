import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from '../batch/batch.js';
import type { Gradients } from '../objective/options.js';
import { sumByName } from '../objective/sum-by-name.js';

/** Loss and gradients of one micro-batch. */
interface Part extends Gradients {
  /** Its share of the weight of all micro-batches of the step. */
  readonly share: number;
}

/** Gradients, unweighted terms and total loss of a step, over all its micro-batches. */
export interface WindowSums {
  readonly gradients: NamedTensors;
  readonly terms: NamedTensors;
  readonly total: Scalar;
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
  evaluate: (batch: Batch) => Gradients,
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
    replacedBy,
  };
}

function listReplacers({ terms }: Part): [string, string][] {
  return terms.flatMap(({ name, replacedBy }) => (replacedBy ? [[name, replacedBy]] : []));
}

function scaleAll(record: NamedTensors, by: number): NamedTensors {
  return Object.fromEntries(
    Object.entries(record).map(([name, tensor]) => [name, tf.mul(tensor, by)]),
  );
}
