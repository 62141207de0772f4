import * as tfl from '@tensorflow/tfjs-layers';
import type { LayerVariable } from '@tensorflow/tfjs-layers';
import type { Tensor } from '@tensorflow/tfjs-core';
import { EspalierError } from '@espalier/errors';
import { withRandom } from './with-random.js';
import type { Draw } from './with-random.js';
import type { Layer } from './parameters.js';

/** What to do differently while a model runs. */
export interface Interception {
  /** Paths of the layers concerned; others run as ever. */
  readonly layers: ReadonlyMap<Layer, string>;
  /** The value to give instead of a variable's own. */
  read(variable: LayerVariable): Tensor | undefined;
  /** Takes a written value; false leaves it to the variable. */
  write(variable: LayerVariable, value: Tensor): boolean;
  /** The stream that a layer draws from. */
  random?(layer: string): Draw;
}

let current: string | undefined;

/** Path of the layer that a {@link Network} is running at this moment. */
export function currentLayer(): string | undefined {
  return current;
}

/**
 * Runs `fn` with reads and writes of layer variables and calls of layers intercepted, and undoes
 * that whatever happens. tfjs-layers has no functional call; its prototypes are the one place that
 * covers cells, wrappers and nested models alike.
 */
export function intercepted<T>(interception: Interception, fn: () => T): T {
  const variables = tfl.LayerVariable.prototype;
  const layers = tfl.layers.Layer.prototype;
  const { read, write } = variables;
  const { apply } = layers;
  variables.read = function () {
    return interception.read(this) ?? read.call(this);
  };
  variables.write = function (value) {
    return interception.write(this, value) ? this : write.call(this, value);
  };
  layers.apply = function (inputs, kwargs) {
    const path = interception.layers.get(this);
    const run = () => apply.call(this, inputs, kwargs);
    return path === undefined ? run() : inLayer(path, interception, run);
  };
  try {
    return fn();
  } finally {
    Object.assign(variables, { read, write });
    layers.apply = apply;
  }
}

function inLayer<T>(path: string, { random }: Interception, run: () => T): T {
  const outer = current;
  current = path;
  try {
    return random ? withRandom(random(path), run) : run();
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    const problem = `layer '${path}' failed: ${cause instanceof Error ? cause.message : cause}`;
    throw new EspalierError('model/layer-failed', { problem, cause });
  } finally {
    current = outer;
  }
}
