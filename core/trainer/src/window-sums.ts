import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import type { NamedTensors } from './batch.js';
import type { Gradients } from './objective.js';

/** One micro-batch's part of a window. */
export interface Part extends Gradients {
  /** Its share of the window's weight. */
  readonly share: number;
}

/** Gradients, unweighted terms and total loss of a whole window. */
export interface WindowSums {
  readonly gradients: NamedTensors;
  readonly terms: NamedTensors;
  readonly total: Scalar;
}

/** Adds the parts up by name: micro-batches may differ in the terms that they have. */
export function sumWindow(parts: readonly Part[]): WindowSums {
  const termsOf = ({ terms, values }: Part) =>
    Object.fromEntries(terms.map(({ name }, i) => [name, values[i]!]));
  const [first] = parts as [Part];
  if (parts.length === 1) return { ...first, terms: termsOf(first) };
  return {
    gradients: sumByName(parts, ({ gradients }) => gradients),
    terms: sumByName(parts, termsOf),
    total: sumByName(parts, ({ total }) => ({ total }))['total'] as Scalar,
  };
}

function sumByName(parts: readonly Part[], of: (part: Part) => NamedTensors): NamedTensors {
  const found = new Map<string, Tensor[]>();
  for (const part of parts) {
    for (const [name, tensor] of Object.entries(of(part))) {
      found.set(name, [...(found.get(name) ?? []), tf.mul(tensor, part.share)]);
    }
  }
  const sum = (tensors: Tensor[]) => (tensors.length === 1 ? tensors[0]! : tf.addN(tensors));
  return Object.fromEntries([...found].map(([name, tensors]) => [name, sum(tensors)]));
}
