import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { Batch } from './batch.js';
import { EspalierError } from '@espalier/errors';
import type { StepContext, StepLog } from './hooks.js';
import type { WindowSums } from './window-sums.js';

type Numbers = Float32Array | Int32Array | Uint8Array;

/** The few numbers of a step that the host reads, in one go. */
export interface Probe {
  /** Unweighted terms, the total, then what stands for each gradient. */
  readonly numbers: Tensor1D;
  readonly terms: readonly string[];
  /** Paths of the gradients, and how many numbers stand for each. */
  readonly gradients: readonly (readonly [path: string, size: number])[];
}

/** Gradients as small as this are read whole. */
const SMALL = 4096;

/** Makes a probe; its `numbers` are finite exactly when everything is (short of sums beyond float32). */
export function probe({ gradients, terms, total }: WindowSums): Probe {
  const stand = Object.entries(gradients).map(
    ([path, tensor]) => [path, condense(tensor)] as const,
  );
  const parts = [...Object.values(terms), total, ...stand.map(([, numbers]) => numbers)];
  return {
    numbers: tf.concat1d(parts.map((part) => tf.reshape<tf.Rank.R1>(part, [part.size]))),
    terms: Object.keys(terms),
    gradients: stand.map(([path, { size }]) => [path, size]),
  };
}

/** Averages large tensors over rows by pooling: on wasm five times faster than a reduction. */
function condense(tensor: Tensor): Tensor {
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

/**
 * Ends training where a loss term or a gradient is not finite, before anything was applied:
 * weights, slots and statistics are those of the step before.
 *
 * @throws EspalierError `step/non-finite`, naming the input, the term or the parameter.
 */
export async function checkFinite(
  numbers: Numbers,
  { terms, gradients }: Probe,
  { clock, window }: StepContext,
): Promise<void> {
  let bad = 0;
  while (bad < numbers.length && Number.isFinite(numbers[bad])) bad += 1;
  if (bad === numbers.length) return;
  const what =
    terms[bad] === undefined
      ? gradientAt(bad - terms.length, gradients)
      : `the loss term '${terms[bad]}'`;
  throw new EspalierError('step/non-finite', {
    problem: `step ${clock.step}: ${what} is not finite${await inputFault(window)}; nothing of this step was applied`,
    received: numbers[bad],
    fix: 'Lower the learning rate, clip gradients, or look at the term and its inputs; the last checkpoint is intact.',
  });
}

/** What the number at `position` behind the terms stands for. */
function gradientAt(position: number, gradients: Probe['gradients']): string {
  let left = position - 1;
  const found = gradients.find(([, size]) => (left -= size) < 0);
  return position === 0 ? 'the total loss' : `the gradient of '${found![0]}'`;
}

/** The unweighted terms and the weighted total as numbers. */
export function logOf(numbers: Numbers, { terms }: Probe): StepLog {
  const values = terms.map((name, i) => [name, numbers[i]!]);
  return { total: numbers[terms.length]!, terms: Object.fromEntries(values) };
}

/** Looks for the cause in the data; read only when training has already failed. */
async function inputFault(window: readonly Batch[]): Promise<string> {
  for (const { inputs, targets, weights, size } of window) {
    const weightOf = await weights?.data<'float32'>();
    const counts = (position: number, length: number) =>
      weightOf?.[Math.floor((position * weightOf.length) / length)] !== 0;
    for (const [name, tensor] of Object.entries({ ...inputs, ...targets })) {
      const values = await tensor.data();
      const at = values.findIndex((value, i) => !Number.isFinite(value) && counts(i, tensor.size));
      if (at < 0) continue;
      const example = Math.floor((at * size) / tensor.size);
      return ` (the data hold ${values[at]} in '${name}', example ${example} of the batch)`;
    }
  }
  return '';
}
