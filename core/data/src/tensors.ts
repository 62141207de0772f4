import type { NamedTensors } from '@espalier/base';
import { EspalierError } from '@espalier/base';
import { refuseForeignTensor } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/**
 * Tensors by name; a single one gets the only name.
 *
 * @throws EspalierError `batch/inputs` or `batch/targets`.
 */
export function nameTensors(
  given: Tensor | NamedTensors | undefined,
  names: readonly string[],
  what: 'x' | 'y',
): NamedTensors {
  const record = given instanceof tf.Tensor ? { [names[0] ?? '']: given } : (given ?? {});
  const missing = names.filter((name) => !record[name]);
  if (missing.length === 0 && (given === record || names.length <= 1)) return record;
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
export async function sumWeights(weights: Tensor | undefined, size: number): Promise<number> {
  if (!weights) return size;
  const values = await weights.data<'float32'>();
  const bad = values.findIndex((value) => !(value >= 0 && value < Infinity));
  if (weights.rank >= 1 && bad < 0) return values.reduce((a, b) => a + b, 0);
  throw new EspalierError('batch/weights', {
    problem: `weights must be [${size}], or [${size}, time] for each step, each finite and 0 or more`,
    received: bad < 0 ? weights : values[bad],
    fix: 'Give each example (or each of its time steps) one weight; 0 masks it out.',
  });
}

/** What is wrong with a record of tensors, and what was found. */
export interface InvalidTensor {
  readonly problem: string;
  readonly received: unknown;
}

/** What keeps `returned` from standing in for `given`: one more or fewer tensors, or other examples. */
export function findInvalidExamples(
  given: NamedTensors,
  returned: NamedTensors,
  size = Object.values(given)[0]?.shape[0],
): InvalidTensor | undefined {
  const lost = Object.keys(given).find((name) => !Object.hasOwn(returned, name));
  if (lost !== undefined) {
    return { problem: `the tensor '${lost}' is missing`, received: Object.keys(returned) };
  }
  const fits = (tensor: Tensor) => tensor.shape[0] === size;
  return findInvalidTensor(returned, fits, () => `must hold ${size} examples`);
}

/** What keeps `returned` from being gradients in place of `given`; any may be missing. */
export function findInvalidGradients(
  given: NamedTensors,
  returned: NamedTensors,
): InvalidTensor | undefined {
  const expectedShape = (tensor: Tensor, name: string) => given[name]?.shape ?? tensor.shape;
  const fits = (tensor: Tensor, name: string) =>
    tensor.dtype === 'float32' && tf.util.arraysEqual(tensor.shape, expectedShape(tensor, name));
  return findInvalidTensor(
    returned,
    fits,
    (tensor, name) =>
      `must be a float32 tensor of shape [${expectedShape(tensor, name).join(', ')}]`,
  );
}

/** Live variables do not fit: the receiver disposes what it gets. */
function findInvalidTensor(
  tensors: NamedTensors,
  fits: (tensor: Tensor, name: string) => boolean,
  wanted: (tensor: Tensor, name: string) => string,
): InvalidTensor | undefined {
  for (const [name, tensor] of Object.entries(tensors)) {
    refuseForeignTensor(`the tensor '${name}' that this tap returned`, tensor);
    const findProblem = () => {
      if (!(tensor instanceof tf.Tensor)) return 'is no tensor';
      if (tensor.isDisposed) return 'is disposed';
      if (tensor instanceof tf.Variable) return 'is a live variable: hand on a tf.clone of it';
      return fits(tensor, name) ? undefined : wanted(tensor, name);
    };
    const problem = findProblem();
    if (problem !== undefined) return { problem: `'${name}' ${problem}`, received: tensor };
  }
  return undefined;
}
