import { EspalierError } from '@espalier/base';
import { listNewWeights, noteExistingWeights } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { withValuesOnly } from '../values-only.js';
import { invalidModelFileError, isKeras3, keras3Error } from './model-file.js';
import type { ModelFile } from './model-file.js';

/**
 * Builds the model of a `model.json` with the values of its shards, bit for bit. Nothing is left behind when it throws.
 *
 * @throws EspalierError `model-folder/invalid`.
 */
export async function buildFromFile(file: ModelFile, values: ArrayBuffer): Promise<LayersModel> {
  try {
    return await buildAndLoad(file, values);
  } catch (cause) {
    if (isKeras3(file)) throw keras3Error(cause);
    const { message } =
      cause instanceof EspalierError ? { message: cause.parts.problem } : (cause as Error);
    throw invalidModelFileError(message, cause);
  }
}

async function buildAndLoad(file: ModelFile, values: ArrayBuffer): Promise<LayersModel> {
  const specs = listSpecs(file);
  const numbers = specs.reduce((sum, { shape }) => sum + tf.util.sizeFromShape(shape), 0);
  const existing = noteExistingWeights();
  // Nothing in it waits, so that the model is there before the promise is.
  const building = withValuesOnly(numbers, tooManyNumbers, () =>
    tfl.models.modelFromJSON({ modelTopology: file.modelTopology } as Topology),
  );
  const made = listNewWeights(existing); // those of layers that are no part of the model, too
  try {
    const model = await building;
    model.setUserDefinedMetadata(file.userDefinedMetadata ?? {});
    loadValues(model, specs, values);
    return model;
  } catch (error) {
    made.forEach((variable) => variable.dispose());
    throw error;
  }
}

type Topology = Parameters<typeof tfl.models.modelFromJSON>[0];

/** The weights of the layers; those of an optimizer are passed over. */
function listSpecs({ weightsManifest }: ModelFile) {
  return weightsManifest.flatMap(({ weights }) => weights);
}

/** tfjs would apply the constraints of the weights to what it loads, so they are set aside meanwhile. */
function loadValues(
  model: LayersModel,
  specs: ReturnType<typeof listSpecs>,
  values: ArrayBuffer,
): void {
  const weights = model.weights as unknown as { constraint: unknown }[];
  const constraints = weights.map(({ constraint }) => constraint);
  const names = specs.filter(({ group }) => group !== 'optimizer').map(({ name }) => name);
  weights.forEach((weight) => (weight.constraint = null));
  tf.tidy(() => {
    const decoded = tf.io.decodeWeights(values, specs);
    model.loadWeights(Object.fromEntries(names.map((name) => [name, decoded[name]!])));
  });
  weights.forEach((weight, i) => (weight.constraint = constraints[i]));
}

function tooManyNumbers(weight: string): EspalierError {
  return invalidModelFileError(
    `the layers ask for more numbers than its shards have, at '${weight}'`,
  );
}
