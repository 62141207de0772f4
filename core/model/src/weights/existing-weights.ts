import * as tf from '@tensorflow/tfjs-core';
import type { Variable } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { innerVariable } from './parameters.js';

/** Weights that existed at some moment; whatever is made later is not among them. */
export type ExistingWeights = Pick<WeakSet<Variable>, 'has'>;

/**
 * The weights that exist now. Noted before a function makes a model, they tell which weights are new.
 *
 * @example
 * const existing = noteExistingWeights();
 * const model = make();
 * disposeNewWeights(model, existing);
 */
export function noteExistingWeights(): ExistingWeights {
  return new WeakSet(Object.values(tf.engine().registeredVariables));
}

/**
 * Disposes the weights of a model that did not exist when `existing` was noted.
 *
 * @example
 * disposeNewWeights(model, existing);
 */
export function disposeNewWeights(model: LayersModel, existing: ExistingWeights): void {
  for (const weight of model.weights) {
    const variable = innerVariable(weight);
    if (!variable.isDisposed && !existing.has(variable)) weight.dispose();
  }
}

/**
 * The variables that were made since `existing` was noted, whosever they are.
 *
 * @example
 * const existing = noteExistingWeights();
 * make();
 * listNewWeights(existing).forEach((variable) => variable.dispose());
 */
export function listNewWeights(existing: ExistingWeights): readonly Variable[] {
  return Object.values(tf.engine().registeredVariables).filter((each) => !existing.has(each));
}

/**
 * Runs `make`; when it throws, every variable that it made is disposed, whosever it would be.
 *
 * @param make Is synchronous.
 * @example
 * const layers = orUndo(() => configs.map((config) => makeLayer(config)));
 */
export function orUndo<T>(make: () => T): T {
  const existing = noteExistingWeights();
  try {
    return make();
  } catch (error) {
    listNewWeights(existing).forEach((variable) => variable.dispose());
    throw error;
  }
}
