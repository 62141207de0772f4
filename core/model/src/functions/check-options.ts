import { EspalierError, isPlain, refuseForeignTensor } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';

/** Names are parts of paths. */
const NAME = /^[^/ ]+$/;

/**
 * Refuses what no function model can be made from.
 *
 * @throws EspalierError `model/function`.
 */
export function checkOptions({ params, apply, inputShape, inputDtype, name }: Given): void {
  if (typeof apply !== 'function') {
    throw optionError('apply must be a function', apply, 'Give apply: (params, x) => …');
  }
  checkParams(params);
  const shapes = isPlain(inputShape) ? Object.values(inputShape) : [inputShape];
  if (shapes.length === 0 || !shapes.every(isShape)) {
    throw optionError(
      'inputShape must be the shape of one example, without the batch',
      inputShape,
      'For rows of 784 numbers: inputShape: [784]. For several inputs, one by name: { image: [28, 28, 1], … }.',
    );
  }
  const wrong = [name ?? 'apply', ...(isPlain(inputShape) ? Object.keys(inputShape) : [])].find(
    (each) => typeof each !== 'string' || !NAME.test(each),
  );
  if (wrong !== undefined)
    throw optionError('names have no slash and no space', wrong, 'Rename it.');
  if (inputDtype === undefined || inputDtype === 'float32' || inputDtype === 'int32') return;
  throw optionError(
    "inputDtype must be 'float32' or 'int32'",
    inputDtype,
    'Leave it out for float32.',
  );
}

type Given = Readonly<Record<string, unknown>>;

function checkParams(params: unknown): void {
  if (!isPlain(params) || Object.keys(params).length === 0) {
    throw optionError(
      'params must be variables by name',
      params,
      'Give params: { w: tf.variable(…) }.',
    );
  }
  for (const [name, variable] of Object.entries(params)) checkParam(name, variable);
}

function checkParam(name: string, variable: unknown): void {
  if (!NAME.test(name)) throw optionError('names have no slash and no space', name, 'Rename it.');
  if (!(variable instanceof tf.Variable)) {
    throw optionError(
      `the parameter '${name}' must be a tf.Variable`,
      variable,
      `Make it one: tf.variable(…); a constant need not be a parameter.`,
    );
  }
  if (variable.isDisposed) {
    throw optionError(`the parameter '${name}' is disposed`, undefined, 'Give a live variable.');
  }
  refuseForeignTensor(`the parameter '${name}'`, variable);
}

function isShape(shape: unknown): boolean {
  const isLength = (size: unknown) => size === null || (Number.isInteger(size) && Number(size) > 0);
  return Array.isArray(shape) && shape.every(isLength);
}

function optionError(problem: string, received: unknown, fix: string): EspalierError {
  return new EspalierError('model/function', {
    problem: `makeFunctionModel: ${problem}`,
    ...(received !== undefined && { received }),
    fix,
  });
}

/** Names of inputs, of the function and of its outputs are names of layers. */
export function refuseTwice(names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return;
  throw optionError(
    `'${twice}' is the name of two things among the inputs, the function and its outputs`,
    names,
    'Rename one; the function is named by the option name.',
  );
}
