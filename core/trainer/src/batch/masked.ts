import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from './batch.js';
import { hasSteps } from './step-weights.js';
import type { IdInputs } from './word-ids.js';

/**
 * A batch in which examples of weight 0 hold no NaN or Infinity, and no ids of rows that embeddings lack:
 * zeros stand for them, since 0 times NaN is NaN, in sums and in gradients. Any other number stays: batch
 * normalization sees it.
 */
export function withoutMaskedFaults(batch: Batch, idInputs: IdInputs): Batch {
  const { weights, inputs, targets } = batch;
  if (!weights) return batch;
  const counts = tf.greater(weights, 0);
  const clean = (given: NamedTensors) =>
    Object.fromEntries(Object.entries(given).map(([name, x]) => [name, replaceFaults(x, counts)]));
  return {
    ...batch,
    inputs: withKnownIds(clean(inputs), counts, idInputs),
    targets: clean(targets),
  };
}

function withKnownIds(inputs: NamedTensors, counts: Tensor, idInputs: IdInputs): NamedTensors {
  const known = Object.entries(idInputs).flatMap(([name, { rows }]) => {
    const ids = inputs[name];
    if (!ids) return [];
    const isRow = tf.logicalAnd(tf.greaterEqual(ids, 0), tf.less(ids, rows));
    const example = tf.any(tf.reshape(counts, [ids.shape[0]!, -1]), 1);
    const stays = tf.logicalOr(isRow, tf.reshape(example, alignedShape(example.shape, ids.shape)));
    return [[name, tf.where(stays, ids, tf.zerosLike(ids))] as const];
  });
  return { ...inputs, ...Object.fromEntries(known) };
}

function replaceFaults(x: Tensor, counts: Tensor): Tensor {
  if (x.dtype !== 'float32') return x;
  const perUnit = hasSteps(x, counts) ? counts : tf.any(tf.reshape(counts, [x.shape[0]!, -1]), 1);
  const perElement = tf.reshape(perUnit, alignedShape(perUnit.shape, x.shape));
  return tf.where(tf.logicalOr(perElement, tf.isFinite(x)), x, tf.zerosLike(x));
}

/** `[batch]` or `[batch, steps]` under a tensor that has further axes. */
function alignedShape(counts: readonly number[], shape: readonly number[]): number[] {
  return shape.map((_, i) => counts[i] ?? 1);
}
