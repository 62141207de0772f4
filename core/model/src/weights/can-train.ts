import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';
import { listHeldLayers } from './held-layers.js';
import { listParameters } from './parameters.js';
import type { Layer } from './parameters.js';

/**
 * Paths of the weights that an optimizer can train, whatever `trainable` says at the moment: all but moving
 * statistics and the like.
 *
 * @throws EspalierError `model/disposed`.
 * @example
 * listTrainablePaths(model); // ['dense_1/kernel', 'dense_1/bias']
 */
export function listTrainablePaths(model: LayersModel): readonly string[] {
  const still = new Set([...layersWithin(model)].flatMap(listStill));
  return listParameters(model)
    .filter(({ variable }) => !still.has(variable))
    .map(({ path }) => path);
}

function layersWithin(layer: Layer, found = new Set<Layer>()): ReadonlySet<Layer> {
  if (found.has(layer)) return found;
  found.add(layer);
  listHeldLayers(layer).forEach((held) => layersWithin(held, found));
  return found;
}

function listStill(layer: Layer): readonly LayerVariable[] {
  return (layer as unknown as { readonly _nonTrainableWeights: LayerVariable[] })
    ._nonTrainableWeights;
}
