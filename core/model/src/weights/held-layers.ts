import * as tfl from '@tensorflow/tfjs-layers';
import type { Layer } from './parameters.js';

/** The layers that a layer holds: those of a model, what a wrapper wraps, the cells of an RNN. */
export function listHeldLayers(layer: Layer): Layer[] {
  const values = Object.values(layer).flat() as unknown[];
  return values.filter((value) => value instanceof tfl.layers.Layer);
}
