import type { NamedTensors } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { areFinite } from '../finite.js';
import type { StepLog } from '../hooks/hooks.js';
import type { WindowSums } from './window-sums.js';

/** The few numbers of a step that the host reads, in one go. */
export interface StepScalars {
  /** Unweighted terms, the total, what stands for each gradient and moving statistic, then metrics. */
  readonly numbers: Tensor1D;
  readonly terms: readonly string[];
  /** Gradients, then moving statistics. */
  readonly checked: readonly Checked[];
  /** Names of the metrics, which need not be finite. */
  readonly metrics: readonly string[];
}

/** A tensor of the step that has to be finite, and how many numbers stand for it. */
interface Checked {
  readonly kind: 'gradient' | 'statistic';
  readonly path: string;
  readonly tensor: Tensor;
  readonly size: number;
}

/** Tensors as small as this are read whole. */
const SMALL = 4096;

/** Makes them. Where all before the metrics are finite, everything is; a sum may be infinite by itself. */
export function computeStepScalars(
  { gradients, terms, total, metrics }: WindowSums,
  statistics: NamedTensors,
): StepScalars {
  const reduced = [...reduceAll('gradient', gradients), ...reduceAll('statistic', statistics)];
  const parts = [
    ...Object.values(terms),
    total,
    ...reduced.map(({ numbers }) => numbers),
    ...Object.values(metrics),
  ];
  return {
    numbers: tf.concat1d(parts.map((part) => tf.reshape<tf.Rank.R1>(part, [part.size]))),
    terms: Object.keys(terms),
    checked: reduced.map(({ numbers, ...each }) => ({ ...each, size: numbers.size })),
    metrics: Object.keys(metrics),
  };
}

function reduceAll(kind: Checked['kind'], tensors: NamedTensors) {
  return Object.entries(tensors).map(([path, tensor]) => {
    return { kind, path, tensor, numbers: reduce(tensor) };
  });
}

/** Averages large tensors over rows by pooling: on wasm five times faster than a reduction. */
function reduce(tensor: Tensor): Tensor {
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

/** The first number of a step that is not finite; without a term and a path the total loss. */
export interface Fault {
  readonly received: number;
  /** Full name of the loss term that it is, if it is one. */
  readonly term?: string;
  /** Path of the parameter whose gradient or moving statistic it stands for, if it does. */
  readonly path?: string;
  readonly kind?: Checked['kind'];
}

/** The first fault, if there is one. Only where a sum is not finite, what was summed is read too. */
export async function findFault(
  numbers: Float32Array,
  { terms, checked, metrics }: StepScalars,
): Promise<Fault | undefined> {
  const end = numbers.length - metrics.length;
  if (numbers.subarray(0, end).every(Number.isFinite)) return undefined;
  const lost = numbers.subarray(0, terms.length + 1).findIndex((value) => !Number.isFinite(value));
  if (lost >= 0) {
    const [received, term] = [numbers[lost]!, terms[lost]];
    return { received, ...(term !== undefined && { term }) };
  }
  let at = terms.length + 1;
  for (const { kind, path, tensor, size } of checked) {
    const received = numbers.subarray(at, (at += size)).find((value) => !Number.isFinite(value));
    if (received === undefined || (size < tensor.size && areFinite(await tensor.data()))) continue;
    return { received, path, kind };
  }
  return undefined;
}

/** The unweighted terms, the weighted total and the metrics as numbers. */
export function makeLog(numbers: Float32Array, { terms, metrics }: StepScalars): StepLog {
  const take = (names: readonly string[], from: number) =>
    Object.fromEntries(names.map((name, i) => [name, numbers[from + i]!]));
  return {
    total: numbers[terms.length]!,
    terms: take(terms, 0),
    metrics: take(metrics, numbers.length - metrics.length),
  };
}
