import { twoCopiesError } from '@espalier/base';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Layer } from './parameters.js';

/** @throws EspalierError `session/two-tfjs` for a layer of another copy's class. */
export function refuseForeignLayer(layer: Layer): void {
  const { getClassName, apply, name } = layer as Partial<Layer>;
  if (layer instanceof tfl.layers.Layer || !getClassName || !apply) return;
  throw twoCopiesError(`the layer '${name}'`);
}
