import { EspalierError } from '@espalier/base';
import { findInvalidExamples, findInvalidGradients } from '@espalier/data/tensors';
import type { InvalidTensor } from '@espalier/data/tensors';
import type { Batch } from './batch.js';
import { HOOKS } from './hooks.js';
import type { HookName } from './hooks.js';

/**
 * Checks what a tap hands on to the next one, and gives it back; what other taps return is ignored.
 *
 * @throws EspalierError `hooks/no-return`, `hooks/bad-return`, naming the tensor.
 */
export function checkHandedOn(hook: HookName, given: unknown, returned: unknown): unknown {
  if (!HOOKS[hook].kind.endsWith('waterfall')) return undefined;
  if (returned === given) return given;
  if (typeof returned !== 'object' || returned === null) throw noReturn(hook, returned);
  const problem = misfitOf(hook, given as never, returned as never);
  if (problem) throw badReturn(hook, problem);
  return returned;
}

function misfitOf(hook: HookName, given: never, returned: never): InvalidTensor | undefined {
  if (hook === 'batch') return batchMisfit(given, returned);
  return hook === 'gradients'
    ? findInvalidGradients(given, returned)
    : findInvalidExamples(given, returned);
}

function batchMisfit(given: Batch, { inputs, targets, weights, size, key }: Batch) {
  const problem = 'the batch must keep its key, which names its random draws';
  return (
    findInvalidExamples(given.inputs, inputs ?? {}, size) ??
    findInvalidExamples(given.targets, targets ?? {}, size) ??
    findInvalidExamples({}, weights ? { weights } : {}, size) ??
    (key === given.key ? undefined : { problem, received: key })
  );
}

function noReturn(hook: HookName, received: unknown): EspalierError {
  return new EspalierError('hooks/no-return', {
    problem: `'${hook}' hands a value from tap to tap, but its tap returned none`,
    received,
    fix: 'Return the argument, changed or not.',
  });
}

function badReturn(hook: HookName, { problem, received }: InvalidTensor): EspalierError {
  return new EspalierError('hooks/bad-return', {
    problem: `what this '${hook}' tap returned cannot be used: ${problem}`,
    received,
    fix: `Return { ...argument, … }${hook === 'batch' ? ', with size the number of examples' : ''}.`,
  });
}
