import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from '../batch/batch.js';
import type { Gradients } from '../objective/options.js';

/** One micro-batch's part of a window. */
interface Part extends Gradients {
  /** Its share of the window's weight. */
  readonly share: number;
}

/** Gradients, unweighted terms and total loss of a whole window. */
export interface WindowSums {
  readonly gradients: NamedTensors;
  readonly terms: NamedTensors;
  readonly total: Scalar;
  /** By term: the plugin that replaced its value. */
  readonly replacedBy: Readonly<Record<string, string>>;
}

/**
 * Each micro-batch's share of what a window comes to: its weight over that of all, so that the sum is
 * the mean over the examples; equal shares where nothing weighs anything.
 *
 * @example
 * const shares = shareOut(window);
 * const loss = tf.addN(window.map((batch, i) => tf.mul(ctx.objective(batch), shares[i]!)));
 */
export function computeShares(window: readonly Batch[]): readonly number[] {
  const weight = window.reduce((sum, batch) => sum + batch.weightSum, 0);
  return window.map((batch) => (weight > 0 ? batch.weightSum / weight : 1 / window.length));
}

/** Adds up by name, each micro-batch by its share: they may differ in the terms that they have. */
export function sumWindow(
  window: readonly Batch[],
  evaluate: (batch: Batch) => Gradients,
): WindowSums {
  const shares = computeShares(window);
  const parts = window.map((batch, i): Part => ({ ...evaluate(batch), share: shares[i]! }));
  const termsOf = ({ terms, values }: Part) =>
    Object.fromEntries(terms.map(({ name }, i) => [name, values[i]!]));
  const [first] = parts as [Part];
  const replacedBy = Object.fromEntries(parts.flatMap(replacersOf));
  if (parts.length === 1) return { ...first, terms: termsOf(first), replacedBy };
  const sum = (of: (part: Part) => NamedTensors) =>
    sumByName(parts.map((part) => scaled(of(part), part.share)));
  return {
    gradients: sum(({ gradients }) => gradients),
    terms: sum(termsOf),
    total: sum(({ total }) => ({ total }))['total'] as Scalar,
    replacedBy,
  };
}

function replacersOf({ terms }: Part): [string, string][] {
  return terms.flatMap(({ name, replacedBy }) => (replacedBy ? [[name, replacedBy]] : []));
}

/** The sum of records that may differ in what they hold. */
export function sumByName(records: readonly NamedTensors[]): NamedTensors {
  if (records.length === 1) return records[0]!;
  const names = new Set(records.flatMap((record) => Object.keys(record)));
  const sum = (name: string) => {
    const found = records.flatMap((record) => record[name] ?? []);
    return found.length === 1 ? found[0]! : tf.addN(found);
  };
  return Object.fromEntries([...names].map((name) => [name, sum(name)]));
}

function scaled(record: NamedTensors, by: number): NamedTensors {
  return Object.fromEntries(
    Object.entries(record).map(([name, tensor]) => [name, tf.mul(tensor, by)]),
  );
}
