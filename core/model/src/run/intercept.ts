import { EspalierError } from '@espalier/base';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayerVariable } from '@tensorflow/tfjs-layers';
import type { Layer } from '../weights/parameters.js';
import { withRandom } from '../with-random.js';
import type { Rng } from '../with-random.js';
import { patchBatchNormalization } from './batch-normalization.js';

/** What to do differently while a model runs. */
export interface Interception {
  /** Paths of the layers concerned; others run as ever. */
  readonly layers: ReadonlyMap<Layer, string>;
  /** The value to give instead of a variable's own. */
  read(variable: LayerVariable): Tensor | undefined;
  /** Takes a written value; false leaves it to the variable. */
  write(variable: LayerVariable, value: Tensor): boolean;
  /** Sees what a layer made of what. */
  applied?(layer: Layer, inputs: readonly Tensor[], outputs: readonly Tensor[]): void;
  /** Whether a batch normalization keeps its statistics; default no. */
  isFrozen?(layer: Layer): boolean;
  /** The stream that a layer draws from. */
  random?(layer: string): Rng;
  /** Sees what a layer gives; the tensors stay the run's. */
  observe?(layer: string, outputs: readonly Tensor[]): void;
}

interface Frame extends Interception {
  readonly outer: Frame | undefined;
}

let innermost: Frame | undefined;
let current: string | undefined;

/**
 * Path of the layer that a {@link Network} runs at this moment; `undefined` outside of layers.
 *
 * @example
 * console.log('drawn for', currentLayer()); // 'encoder/dropout_1'
 */
export function currentLayer(): string | undefined {
  return current;
}

/**
 * Runs `fn` with reads and writes of layer variables and calls of layers intercepted, whatever
 * happens no longer than that. A run inside a run looks up the outer one for what it leaves alone.
 */
export function intercept<T>(interception: Interception, fn: () => T): T {
  const outer = innermost;
  innermost = { ...interception, outer };
  try {
    return fn();
  } finally {
    innermost = outer;
  }
}

/**
 * tfjs-layers has no functional call; its prototypes are the one place that covers cells, wrappers
 * and nested models alike. They are patched once, here, and behave as before while nothing is intercepted:
 * patching them for each run would make V8 look up every method of every layer anew.
 */
function patchLayers(): void {
  const variables = tfl.LayerVariable.prototype;
  const layers = tfl.layers.Layer.prototype;
  const { read, write } = variables;
  const { apply } = layers;
  variables.read = function () {
    for (let frame = innermost; frame; frame = frame.outer) {
      const value = frame.read(this);
      if (value) return value;
    }
    return read.call(this);
  };
  variables.write = function (value) {
    for (let frame = innermost; frame; frame = frame.outer) {
      if (frame.write(this, value)) return this;
    }
    return write.call(this, value);
  };
  layers.apply = function (inputs, kwargs) {
    const run = () => apply.call(this, inputs, kwargs);
    for (let frame = innermost; frame; frame = frame.outer) {
      const path = frame.layers.get(this);
      if (path === undefined) continue;
      const made = runInLayer(path, frame, run);
      frame.applied?.(this, listTensors(inputs), listTensors(made));
      return made;
    }
    return run();
  };
}

function listTensors(given: unknown): readonly Tensor[] {
  return [given].flat() as Tensor[];
}

function isFrozen(layer: Layer): boolean {
  for (let frame = innermost; frame; frame = frame.outer) {
    if (frame.isFrozen?.(layer)) return true;
  }
  return false;
}

patchLayers();
patchBatchNormalization(isFrozen, () => innermost !== undefined);

function runInLayer<T>(path: string, { random, observe }: Interception, run: () => T): T {
  const outer = current;
  current = path;
  try {
    const outputs = random ? withRandom(random(path), run) : run();
    observe?.(path, [outputs].flat() as Tensor[]);
    return outputs;
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    const problem = `layer '${path}' failed: ${cause instanceof Error ? cause.message : cause}`;
    throw new EspalierError('model/layer-failed', { problem, cause });
  } finally {
    current = outer;
  }
}
