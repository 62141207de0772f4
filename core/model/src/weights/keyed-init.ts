import type { LayerVariable } from '@tensorflow/tfjs-layers';
import * as tfl from '@tensorflow/tfjs-layers';
import { automaticStem } from '../graph/names.js';
import { withRandom } from '../with-random.js';
import type { Rng } from '../with-random.js';
import type { Layer } from './parameters.js';

type AddWeight = (this: Layer, name: string, ...rest: readonly unknown[]) => LayerVariable;

/**
 * Runs `make` (a model factory, or `buildModel`) with every initial weight drawn from a stream of its
 * own, so that adding a layer never shifts another's values and two builds are bit-identical.
 * `streamOf` is asked by layer (its chosen name, or kind and running number in this build) and weight
 * name. Initializers with a seed keep to it. What `make` does after an `await` is not covered.
 *
 * @example
 * const model = withKeyedInit((layer, weight) => keyedRng(7, layer, weight), makeModel);
 */
export function withKeyedInit<T>(
  streamOf: (layer: string, weight: string) => Rng,
  make: () => T,
): T {
  const prototype = tfl.layers.Layer.prototype as unknown as { addWeight: AddWeight };
  const { addWeight } = prototype;
  const keyOf = layerKeys();
  prototype.addWeight = function (name, ...rest) {
    return withRandom(streamOf(keyOf(this), name), () => addWeight.call(this, name, ...rest));
  };
  try {
    return make();
  } finally {
    prototype.addWeight = addWeight;
  }
}

function layerKeys(): (layer: Layer) => string {
  const keys = new Map<Layer, string>();
  const counts = new Map<string, number>();
  return (layer) => {
    const known = keys.get(layer);
    if (known !== undefined) return known;
    const stem = automaticStem({ name: layer.name, className: layer.getClassName() });
    // A chosen name may come twice: in two nested models, or in the two directions of an RNN.
    const base = stem === undefined ? layer.name : `automatic ${stem}`;
    const count = (counts.get(base) ?? 0) + 1;
    counts.set(base, count);
    keys.set(layer, `${base}#${count}`);
    return keys.get(layer)!;
  };
}
