import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import type { Batch, Clock } from './batch.js';
import { EspalierError } from '@espalier/errors';
import type { StepLog } from './hooks.js';

/** What a step's flag vector is about: a sum per gradient, the unweighted terms, the total. */
export interface Flagged {
  readonly clock: Clock;
  readonly window: readonly Batch[];
  readonly paths: readonly string[];
  readonly terms: readonly string[];
}

type Numbers = Float32Array | Int32Array | Uint8Array;

/**
 * A scalar that is finite exactly when every element is (short of a sum beyond float32). Rows are
 * averaged by pooling, on wasm five times faster than a reduction over everything.
 */
export function finiteFlag(tensor: Tensor): Scalar {
  if (tensor.rank < 2) return tf.sum(tensor);
  const columns = tensor.shape[tensor.rank - 1]!;
  const rows = tensor.size / columns;
  let height = Math.floor(Math.sqrt(rows));
  while (rows % height !== 0) height -= 1;
  const width = rows / height;
  const image = tf.reshape<tf.Rank.R4>(tensor, [1, height, width, columns]);
  return tf.sum(tf.avgPool(image, [height, width], 1, 'valid'));
}

/**
 * Ends training where a loss term or a gradient is not finite, before anything was applied:
 * weights, slots and statistics are those of the step before.
 *
 * @throws EspalierError `step/non-finite`, naming the input, the term or the parameter.
 */
export async function checkFinite(numbers: Numbers, flagged: Flagged): Promise<void> {
  const bad = numbers.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return;
  const { paths, terms, clock } = flagged;
  const badTerm = terms.findIndex((_, i) => !Number.isFinite(numbers[paths.length + i]));
  const gradient = paths[bad] === undefined ? 'the total loss' : `the gradient of '${paths[bad]}'`;
  const what = badTerm >= 0 ? `the loss term '${terms[badTerm]}'` : gradient;
  const value = badTerm >= 0 ? numbers[paths.length + badTerm] : numbers[bad];
  throw new EspalierError('step/non-finite', {
    problem: `step ${clock.step}: ${what} is not finite${await inputFault(flagged.window)}; nothing of this step was applied`,
    received: value,
    fix: 'Lower the learning rate, clip gradients, or look at the term and its inputs; the last checkpoint is intact.',
  });
}

/** The unweighted terms and the weighted total as numbers. */
export function logOf(numbers: Numbers, terms: Flagged['terms']): StepLog {
  const [total, ...values] = [...numbers.slice(-terms.length - 1)].reverse();
  const named = terms.map((name, i) => [name, values[terms.length - 1 - i]!]);
  return { total: total!, terms: Object.fromEntries(named) };
}

/** Looks for the cause in the data; read only when training has already failed. */
async function inputFault(window: readonly Batch[]): Promise<string> {
  for (const { inputs, targets } of window) {
    for (const [name, tensor] of Object.entries({ ...inputs, ...targets })) {
      const values = await tensor.data();
      const at = values.findIndex((value) => !Number.isFinite(value));
      if (at < 0) continue;
      const example = Math.floor(at / (tensor.size / tensor.shape[0]!));
      return ` (the data hold ${values[at]} in '${name}', example ${example} of the batch)`;
    }
  }
  return '';
}
