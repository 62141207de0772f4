import * as tf from '@tensorflow/tfjs-core';
import type { Variable } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { EspalierError } from '@espalier/errors';
import { buildModel } from './build.js';
import { graphOf } from './graph.js';
import { innerVariable } from './parameters.js';
import { carryTraining } from './structure/model-watch.js';

/** Weights that existed at some moment; whatever is made later is not among them. */
export type ExistingWeights = Pick<WeakSet<Variable>, 'has'>;

/** The weights of this moment: taken before a function makes a model, they tell what it made. */
export function existingWeights(): ExistingWeights {
  return new WeakSet(Object.values(tf.engine().registeredVariables));
}

/** Disposes those weights of a model that did not exist then. */
export function disposeNewWeights(model: LayersModel, existing: ExistingWeights): void {
  for (const weight of model.weights) {
    const variable = innerVariable(weight);
    if (!variable.isDisposed && !existing.has(variable)) weight.dispose();
  }
}

/**
 * The model that a function gave, to change and to dispose: that model itself when all of its weights
 * are new, else a copy, so that whoever holds the weights that existed before keeps them as they were.
 * Of a model that is copied, the new weights are disposed.
 *
 * @throws EspalierError `model/unregistered-layer` and others where it cannot be copied.
 */
export function ownModel(model: LayersModel, existing: ExistingWeights): LayersModel {
  if (!model.weights.some((weight) => existing.has(innerVariable(weight)))) return model;
  try {
    const copy = buildModel(graphOf(model));
    carryTraining(model, copy);
    return copy;
  } catch (error) {
    throw error instanceof EspalierError ? notCopied(error) : error;
  } finally {
    disposeNewWeights(model, existing);
  }
}

function notCopied(cause: EspalierError): EspalierError {
  const { problem, fix } = cause.parts;
  return new EspalierError(cause.code, {
    problem: `the function gave a model that existed before, so the run needs a copy, but ${problem}`,
    fix: `${fix} Or give the model itself, not a function, to train it in place.`,
    cause,
  });
}
