import { EspalierError } from '@espalier/base';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { copyModel } from '../graph/copy-model.js';
import type { StreamByKey } from '../with-random.js';
import { disposeNewWeights } from './existing-weights.js';
import type { ExistingWeights } from './existing-weights.js';
import { innerVariable } from './parameters.js';

/**
 * The model that a function gave, to change and to dispose: that model itself when all of its weights
 * are new, else a copy, so that whoever holds the weights that existed before keeps them as they were.
 * Of a model that is copied, the new weights are disposed.
 *
 * @throws EspalierError what {@link copyModel} throws.
 */
export function takeOwnModel(
  model: LayersModel,
  existing: ExistingWeights,
  stream: StreamByKey,
): LayersModel {
  if (!model.weights.some((weight) => existing.has(innerVariable(weight)))) return model;
  try {
    return copyModel(model, stream);
  } catch (error) {
    throw error instanceof EspalierError ? notCopiedError(error) : error;
  } finally {
    disposeNewWeights(model, existing);
  }
}

function notCopiedError(cause: EspalierError): EspalierError {
  const { problem, fix } = cause.parts;
  return new EspalierError(cause.code, {
    problem: `the function gave a model that existed before, so the run needs a copy, but ${problem}`,
    fix: `${fix} Or give the model itself, not a function, to train it in place.`,
    cause,
  });
}
