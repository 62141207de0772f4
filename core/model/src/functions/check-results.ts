import { EspalierError, isPlain, refuseForeignTensor } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

const FIX =
  'Return one tensor, or tensors by name, with a row for each example: apply: ({ w }, x) => tf.matMul(x, w).';

/**
 * Runs `apply`, checks what it returns, and gives it by name; the name of a single tensor is empty.
 *
 * @param size Number of examples.
 * @throws EspalierError `model/apply`.
 */
export function runChecked(apply: () => unknown, size: number): NamedTensors {
  const made = attempt(apply);
  if (typeof (made as Partial<Promise<unknown>> | undefined)?.then === 'function') {
    throw applyError('returned a Promise, but it must return tensors at once', undefined);
  }
  if (made instanceof tf.Tensor) return { '': check('', made, size) };
  if (!isPlain(made) || Object.keys(made).length === 0) {
    throw applyError('must return a tensor, or tensors by name', made);
  }
  const tensors = Object.entries(made).map(([name, value]) => [name, check(name, value, size)]);
  return Object.fromEntries(tensors) as NamedTensors;
}

function attempt(apply: () => unknown): unknown {
  try {
    return apply();
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw new EspalierError('model/apply', {
      problem: `apply threw: ${cause instanceof Error ? cause.message : String(cause)}`,
      fix: 'It gets the parameters by name and a batch of inputs: apply: ({ w }, x) => tf.matMul(x, w).',
      cause,
    });
  }
}

function check(name: string, value: unknown, size: number): Tensor {
  const what = name === '' ? 'what apply returns' : `'${name}' of what apply returns`;
  if (!(value instanceof tf.Tensor))
    throw applyError(`must return tensors: ${what} is none`, value);
  refuseForeignTensor(what, value);
  if (value.shape[0] === size) return value;
  throw applyError(`got a batch of ${size} examples: ${what} must have ${size} rows`, value);
}

function applyError(problem: string, received: unknown): EspalierError {
  return new EspalierError('model/apply', {
    problem: `apply ${problem}`,
    ...(received !== undefined && { received }),
    fix: FIX,
  });
}
