import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';
import { listHeldLayers } from '../weights/held-layers.js';
import type { Layer } from '../weights/parameters.js';
import { normalizeInOneKernel } from './batch-statistics.js';
import type { BatchNormalization } from './batch-statistics.js';

/** tfjs-layers does not export the class. */
const { prototype } = tf.serialization.SerializationMap.getMap().classNameMap[
  'BatchNormalization'
]![0] as unknown as { readonly prototype: BatchNormalization };

/**
 * Patches batch normalization, once: in training tfjs reads scale and centre of layers that have
 * none too, and takes the statistics of the batch for frozen ones, those that `isFrozen` names. Where the
 * backend normalizes by the statistics of a batch in one kernel, the layer uses it. Outside of a run of
 * ours it stays as it is: it may be one of another copy of this package, which knows what is frozen there.
 */
export function patchBatchNormalization(
  isFrozen: (layer: Layer) => boolean,
  isRunning: () => boolean,
): void {
  const { call } = prototype;
  const none = { read: () => undefined };
  Object.assign(prototype, { gamma: none, beta: none });
  prototype.call = function (inputs, kwargs) {
    if (!kwargs['training'] || !isRunning()) return call.call(this, inputs, kwargs);
    if (isFrozen(this)) return call.call(this, inputs, { ...kwargs, training: false });
    const [x] = [inputs].flat() as [tf.Tensor];
    return normalizeInOneKernel(this, x) ?? call.call(this, inputs, kwargs);
  };
}

/**
 * Tells whether a batch normalization of the model is frozen at the moment: by its own `trainable`, or by
 * that of a wrapper or a model around it; where `training` has all weights that train, by that of its own.
 */
export function createFrozenTest(
  model: LayersModel,
  training?: ReadonlySet<unknown>,
): (layer: Layer) => boolean {
  const around = new Map<Layer, readonly Layer[]>();
  const visit = (layer: Layer, outer: readonly Layer[]) => {
    if (around.has(layer)) return;
    const chain = [layer, ...outer];
    around.set(layer, chain);
    listHeldLayers(layer).forEach((held) => visit(held, chain));
  };
  visit(model, []);
  return (layer) => {
    const chain = around.get(layer);
    if (!chain) return false;
    const weights = listScales(layer);
    if (training && weights.length > 0) return !weights.some((weight) => training.has(weight));
    return chain.some(({ trainable }) => !trainable) || isStill(layer);
  };
}

/** In a model that was built again, the weights of frozen layers are frozen, not the layers. */
function isStill(layer: Layer): boolean {
  const weights = listScales(layer);
  return weights.length > 0 && weights.every(({ trainable }) => !trainable);
}

/** The weights of a batch normalization that can train, those that it has. */
function listScales({ gamma, beta }: Layer & Partial<BatchNormalization>): LayerVariable[] {
  return [gamma, beta].filter((weight) => weight instanceof tfl.LayerVariable);
}
