import { Tensor } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from './batch.js';
import { EspalierError } from '@espalier/errors';
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
  if (hook === 'batch') checkBatch(given as Batch, returned as Batch);
  else checkTensors(hook, given as NamedTensors, returned as NamedTensors);
  return returned;
}

function checkBatch(given: Batch, { inputs, targets, weights, size, key }: Batch): void {
  checkTensors('batch', given.inputs, inputs ?? {}, size);
  checkTensors('batch', given.targets, targets ?? {}, size);
  checkTensors('batch', {}, weights ? { weights } : {}, size);
  if (key === given.key) return;
  throw badReturn('batch', 'the batch must keep its key, which names its random draws', key);
}

/** Gradients keep their shapes and may go; other tensors must all be there, for as many examples. */
function checkTensors(
  hook: HookName,
  given: NamedTensors,
  returned: NamedTensors,
  size = Object.values(given)[0]?.shape[0],
): void {
  const lost = Object.keys(given).find((name) => !Object.hasOwn(returned, name));
  if (lost !== undefined && hook !== 'gradients') {
    throw badReturn(hook, `the tensor '${lost}' is missing`, Object.keys(returned));
  }
  for (const [name, tensor] of Object.entries(returned)) {
    if (!(tensor instanceof Tensor)) throw badReturn(hook, `'${name}' is no tensor`, tensor);
    if (tensor.isDisposed) throw badReturn(hook, `'${name}' is disposed`, tensor);
    if (hook !== 'gradients') {
      if (tensor.shape[0] === size) continue;
      throw badReturn(hook, `'${name}' must hold ${size} examples`, tensor);
    }
    const shape = given[name]?.shape ?? tensor.shape;
    if (tensor.dtype === 'float32' && String(tensor.shape) === String(shape)) continue;
    throw badReturn(
      hook,
      `'${name}' must be a float32 tensor of shape [${shape.join(', ')}]`,
      tensor,
    );
  }
}

function noReturn(hook: HookName, received: unknown): EspalierError {
  return new EspalierError('hooks/no-return', {
    problem: `'${hook}' hands a value from tap to tap, but its tap returned none`,
    received,
    fix: 'Return the argument, changed or not.',
  });
}

function badReturn(hook: HookName, problem: string, received: unknown): EspalierError {
  return new EspalierError('hooks/bad-return', {
    problem: `what this '${hook}' tap returned cannot be used: ${problem}`,
    received,
    fix: `Return { ...argument, … }${hook === 'batch' ? ', with size the number of examples' : ''}.`,
  });
}
