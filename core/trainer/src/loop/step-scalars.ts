import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { StepLog } from '../hooks/hooks.js';
import type { WindowSums } from './window-sums.js';

type Numbers = Float32Array | Int32Array | Uint8Array;

/** The few numbers of a step that the host reads, in one go. */
export interface StepScalars {
  /** Unweighted terms, the total, what stands for each gradient, then metrics. */
  readonly numbers: Tensor1D;
  readonly terms: readonly string[];
  /** Paths of the gradients, and how many numbers stand for each. */
  readonly gradients: readonly (readonly [path: string, size: number])[];
  /** Names of the metrics, which need not be finite. */
  readonly metrics: readonly string[];
}

/** Gradients as small as this are read whole. */
const SMALL = 4096;

/** Makes them; those before the metrics are finite exactly when everything is (short of sums beyond float32). */
export function computeStepScalars({ gradients, terms, total, metrics }: WindowSums): StepScalars {
  const reduced = Object.entries(gradients).map(
    ([path, tensor]) => [path, reduceGradient(tensor)] as const,
  );
  const parts = [
    ...Object.values(terms),
    total,
    ...reduced.map(([, numbers]) => numbers),
    ...Object.values(metrics),
  ];
  return {
    numbers: tf.concat1d(parts.map((part) => tf.reshape<tf.Rank.R1>(part, [part.size]))),
    terms: Object.keys(terms),
    gradients: reduced.map(([path, { size }]) => [path, size]),
    metrics: Object.keys(metrics),
  };
}

/** Averages large tensors over rows by pooling: on wasm five times faster than a reduction. */
function reduceGradient(tensor: Tensor): Tensor {
  if (tensor.size <= SMALL) return tensor;
  const columns = tensor.shape[tensor.rank - 1]!;
  if (columns === tensor.size || columns > SMALL) return tf.sum(tensor);
  const rows = tensor.size / columns;
  let height = Math.floor(Math.sqrt(rows));
  while (rows % height !== 0) height -= 1;
  const width = rows / height;
  const image = tf.reshape<tf.Rank.R4>(tensor, [1, height, width, columns]);
  return tf.avgPool(image, [height, width], 1, 'valid');
}

/** The first number of a step that is not finite. */
export interface Fault {
  readonly received: number;
  /** Full name of the loss term that it is, if it is one. */
  readonly term?: string;
  /** Path of the parameter whose gradient it stands for, if it does; neither: the total loss. */
  readonly path?: string;
}

/** The first fault, if there is one. */
export function findFault(
  numbers: Numbers,
  { terms, gradients, metrics }: StepScalars,
): Fault | undefined {
  const end = numbers.length - metrics.length;
  let bad = 0;
  while (bad < end && Number.isFinite(numbers[bad])) bad += 1;
  if (bad === end) return undefined;
  const received = numbers[bad]!;
  const term = terms[bad];
  if (term !== undefined) return { received, term };
  const path = pathAt(bad - terms.length - 1, gradients);
  return { received, ...(path !== undefined && { path }) };
}

/** Whose gradient the number at `position` behind the total stands for. */
function pathAt(position: number, gradients: StepScalars['gradients']): string | undefined {
  let left = position;
  return position < 0 ? undefined : gradients.find(([, size]) => (left -= size) < 0)![0];
}

/** The unweighted terms, the weighted total and the metrics as numbers. */
export function makeLog(numbers: Numbers, { terms, metrics }: StepScalars): StepLog {
  const take = (names: readonly string[], from: number) =>
    Object.fromEntries(names.map((name, i) => [name, numbers[from + i]!]));
  return {
    total: numbers[terms.length]!,
    terms: take(terms, 0),
    metrics: take(metrics, numbers.length - metrics.length),
  };
}
