import { EspalierError, isPlain, refuseForeignTensor } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { Tensor } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from '../batch/batch.js';
import { HOOKS } from './hooks.js';
import type { HookName } from './hooks.js';

/**
 * Checks what a tap of a waterfall returned, and gives it back; what other taps return is ignored.
 *
 * @throws EspalierError `hooks/no-return`, `hooks/bad-return`, naming the tensor.
 */
export function checkTapResult(hook: HookName, given: unknown, returned: unknown): unknown {
  if (!HOOKS[hook].kind.endsWith('waterfall')) return undefined;
  if (returned === given) return given;
  if (typeof returned !== 'object' || returned === null) throw noReturnError(hook, returned);
  const problem = findInvalid(hook, given as never, returned as never);
  if (problem) throw badReturnError(hook, problem);
  return returned;
}

/** Refuses, when it is called, that a waterfall's argument was changed in place since. */
export function noteArgument(hook: HookName, argument: unknown): () => void {
  if (!HOOKS[hook].kind.endsWith('waterfall')) return () => undefined;
  const records = [argument as object, ...Object.values(argument as object).filter(isPlain)];
  const notes = records.map((record) => [record, Object.entries(record)] as const);
  return () => {
    const changed = notes.flatMap(([record, entries]) => listChanged(record, entries));
    if (changed.length === 0) return;
    const problem = `it changed '${changed[0]}' of its argument in place, which others have too`;
    throw badReturnError(hook, { problem, received: changed });
  };
}

function listChanged(record: object, before: readonly [string, unknown][]): string[] {
  const [known, now] = [new Map(before), new Map<string, unknown>(Object.entries(record))];
  return [...new Set([...known.keys(), ...now.keys()])].filter(
    (name) => known.get(name) !== now.get(name),
  );
}

function findInvalid(hook: HookName, given: never, returned: never): InvalidTensor | undefined {
  if (hook === 'batch') return findInvalidBatch(given, returned);
  return hook === 'gradients'
    ? findInvalidGradients(given, returned)
    : findInvalidExamples(given, returned);
}

function findInvalidBatch(given: Batch, { inputs, targets, weights, size, key }: Batch) {
  const problem = 'the batch must keep its key, which names its random draws';
  return (
    findInvalidExamples(given.inputs, inputs ?? {}, size) ??
    findInvalidExamples(given.targets, targets ?? {}, size) ??
    findInvalidExamples({}, weights ? { weights } : {}, size) ??
    (key === given.key ? undefined : { problem, received: key })
  );
}

function noReturnError(hook: HookName, received: unknown): EspalierError {
  return new EspalierError('hooks/no-return', {
    problem: `'${hook}' passes a value from tap to tap, but its tap returned nothing`,
    received,
    fix: 'Return the argument, changed or not.',
  });
}

function badReturnError(hook: HookName, { problem, received }: InvalidTensor): EspalierError {
  return new EspalierError('hooks/bad-return', {
    problem: `what this '${hook}' tap returned cannot be used: ${problem}`,
    received,
    fix: `Return { ...argument, … }${hook === 'batch' ? ', with size the number of examples' : ''}.`,
  });
}

/** What is wrong with a record of tensors, and what was found. */
interface InvalidTensor {
  readonly problem: string;
  readonly received: unknown;
}

/** Why `returned` cannot replace `given`: a tensor is missing, or holds another number of examples. */
function findInvalidExamples(
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

/** Why `returned` cannot replace the gradients `given`; any of them may be missing. */
function findInvalidGradients(
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

/** A live variable is refused: the trainer disposes what a tap returns. */
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

/**
 * Refuses a tap that disposed a tensor it was only shown.
 *
 * @throws EspalierError `plugin/disposed`, naming the tensor.
 */
export function checkNotDisposed(argument: unknown): void {
  const name = findDisposed(argument);
  if (name === undefined) return;
  throw new EspalierError('plugin/disposed', {
    problem: `this tap disposed the tensor '${name}', which it does not own`,
    fix: 'Dispose only what the plugin made; the trainer frees the rest.',
  });
}

/** The name of a disposed tensor in the argument, its records, and the batches of its window. */
function findDisposed(holder: unknown): string | undefined {
  for (const key in holder as Record<string, unknown>) {
    const value = (holder as Record<string, unknown>)[key];
    if (value instanceof Tensor) {
      if (value.isDisposed) return key;
    } else if (HOLDERS.has(key) || Array.isArray(holder)) {
      const found = findDisposed(value);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

const HOLDERS = new Set(['inputs', 'targets', 'outputs', 'features', 'microBatches', 'batch']);
