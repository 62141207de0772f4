import { EspalierError, refuseForeignTensor } from '@espalier/base';
import type { NamedTensors, Reading } from '@espalier/base';
import { toCanonicalName } from '@espalier/model';
import type { OwnNames } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Names of tensors in a run, and what the user's own model calls them. */
interface Names {
  readonly names: readonly string[];
  readonly ownNames: OwnNames;
}

/**
 * Tensors by name, own names too; a single one gets the only name.
 *
 * @throws EspalierError `batch/inputs` or `batch/targets`.
 */
export function nameTensors(
  given: Tensor | NamedTensors | undefined,
  { names, ownNames }: Names,
  what: 'x' | 'y',
): NamedTensors {
  if (given instanceof tf.Tensor && names.length <= 1) return { [names[0] ?? '']: given };
  const record = given instanceof tf.Tensor ? {} : (given ?? {});
  const hasAll = (tensors: NamedTensors) => names.every((name) => tensors[name]);
  if (hasAll(record)) return record;
  const renamed = Object.fromEntries(
    Object.entries(record).map(([name, x]) => [toCanonicalName(name, names, ownNames), x]),
  );
  if (hasAll(renamed)) return renamed;
  throw new EspalierError(what === 'x' ? 'batch/inputs' : 'batch/targets', {
    problem: `the batch's ${what} must have the tensors '${names.join("', '")}'`,
    received: given instanceof tf.Tensor ? given : Object.keys(record),
    fix: `Give ${what} as { ${names.join(': …, ')}: … }.`,
  });
}

/**
 * The number of examples, which all tensors must share.
 *
 * @throws EspalierError `batch/tensors`, `batch/size`.
 */
export function countExamples(tensors: NamedTensors): number {
  const size = Object.values(tensors)[0]?.shape?.[0] ?? 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    refuseForeignTensor(`'${name}' of the batch`, tensor);
    if (!(tensor instanceof tf.Tensor) || tensor.isDisposed) {
      throw new EspalierError('batch/tensors', {
        problem: `'${name}' of the batch must be a live tensor`,
        received: tensor,
        fix: 'Make each batch anew, e.g. with tf.tensor(…): the trainer disposes those of a source.',
      });
    }
    if (tensor.shape[0] === size && size > 0) continue;
    throw new EspalierError('batch/size', {
      problem: `'${name}' has ${tensor.shape[0] ?? 'no'} examples where the batch has ${size}`,
      received: tensor,
      fix: 'All tensors of a batch need the same, non-zero first dimension.',
    });
  }
  return size;
}

/**
 * The sum of the weights of examples, or of their steps; each is 1 where none are given.
 *
 * @throws EspalierError `batch/weights`.
 */
export function* readWeights(weights: Tensor | undefined, size: number): Reading<number> {
  if (!weights) return size;
  const values = (yield weights) as Float32Array;
  const bad = values.findIndex((value) => !(value >= 0 && value < Infinity));
  if (weights.rank >= 1 && bad < 0) return values.reduce((a, b) => a + b, 0);
  throw new EspalierError('batch/weights', {
    problem: `weights must be [${size}], or [${size}, time] for each step, each finite and 0 or more`,
    received: bad < 0 ? weights : values[bad],
    fix: 'Give each example (or each of its time steps) one weight; 0 masks it out.',
  });
}
