import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { listCalls } from '../weights/parameters.js';
import type { Layer } from '../weights/parameters.js';
import type { Rng } from '../with-random.js';

/** Examples in a made-up batch. */
const EXAMPLES = 2;

/**
 * A made-up batch for a model, in the order of its inputs: numbers in [−1, 1), and whole numbers where
 * a layer behind the input looks them up. The last example ends in zeros, for layers that mask.
 * Dimensions of unknown length get `length`. The caller owns the tensors.
 */
export function probeInputs(model: LayersModel, draw: Rng, length: number): Tensor[] {
  const limits = idLimits(model);
  return model.inputs.map((input) => {
    const shape = input.shape.map((size, i) => size ?? (i === 0 ? EXAMPLES : length));
    const whole = limits.get(input) ?? (input.dtype === 'float32' ? undefined : 2);
    const size = tf.util.sizeFromShape(shape);
    const values = Float32Array.from({ length: size }, (_, i) => {
      if (i >= size * 0.75) return 0;
      return whole === undefined ? 2 * draw() - 1 : Math.floor(draw() * whole);
    });
    return tf.tensor(values, shape, input.dtype);
  });
}

/** Whether some length of the model's inputs is open, the batch aside. */
export function hasOpenLengths(model: LayersModel): boolean {
  return model.inputs.some(({ shape }) => shape.slice(1).includes(null));
}

/** For inputs that are looked up: how many ids there are. */
function idLimits(model: LayersModel): ReadonlyMap<SymbolicTensor, number> {
  const limits = new Map<SymbolicTensor, number>();
  for (const [layer, outputs] of listCalls(model)) {
    const limit = findIdLimit(layer);
    if (limit === undefined) continue;
    const inputs = [...outputs].flatMap((output) => output.inputs);
    for (const tensor of upstream(inputs)) {
      limits.set(tensor, Math.min(limit, limits.get(tensor) ?? Infinity));
    }
  }
  return limits;
}

/** The ids that a layer takes: `inputDim` of an embedding, of whatever class, `numTokens` of an encoding. */
function findIdLimit(layer: Layer): number | undefined {
  if (layer instanceof tfl.LayersModel) return findLeast(layer.layers.map(findIdLimit));
  const { layer: wrapped } = layer as Layer & { readonly layer?: Layer };
  if (wrapped instanceof tfl.layers.Layer) return findIdLimit(wrapped);
  const { inputDim, numTokens } = layer.getConfig();
  return findLeast([inputDim, numTokens]);
}

function findLeast(values: readonly unknown[]): number | undefined {
  const numbers = values.filter((value) => typeof value === 'number');
  return numbers.length === 0 ? undefined : Math.min(...numbers);
}

function upstream(tensors: readonly SymbolicTensor[]): ReadonlySet<SymbolicTensor> {
  const seen = new Set<SymbolicTensor>();
  const visit = (tensor: SymbolicTensor): void => {
    if (seen.has(tensor)) return;
    seen.add(tensor);
    tensor.inputs.forEach(visit);
  };
  tensors.forEach(visit);
  return seen;
}
