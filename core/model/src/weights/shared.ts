import * as tf from '@tensorflow/tfjs-core';
import type { Variable } from '@tensorflow/tfjs-core';
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';
import { innerVariable } from './parameters.js';

/** Who holds a variable of TensorFlow.js, oldest first: weights of layers, or whoever made it by hand. */
const holders = new WeakMap<Variable, readonly Holder[]>();

/** What holds a variable, and whether it is to train there. */
export interface Holder {
  readonly trainable: boolean;
}

/** Makes a new weight hold a variable that exists; the one that it was made with is disposed. */
export function shareVariable(weight: LayerVariable, variable: Variable, owner: Holder): void {
  innerVariable(weight).dispose();
  Object.assign(weight, { val: variable, dispose: () => releaseWeight(weight) });
  holders.set(variable, [...(holders.get(variable) ?? [owner]), weight]);
  variable.trainable = weight.trainable;
}

/** Whether a weight can hold what another one holds. */
export function fitsVariable(weight: LayerVariable, variable: Variable): boolean {
  const { shape, dtype } = innerVariable(weight);
  return dtype === variable.dtype && tf.util.arraysEqual(shape, variable.shape);
}

/**
 * Whether two weights hold one variable of TensorFlow.js, so that what trains in one model trains in the other.
 *
 * @example
 * holdSame(model.weights[0], session.model.weights[0]); // true, unless a plugin replaced the layer
 */
export function holdSame(one: LayerVariable, other: LayerVariable): boolean {
  return innerVariable(one) === innerVariable(other);
}

/**
 * Disposes every weight of a model that is not disposed yet, except those that other models hold too;
 * `LayersModel.dispose` forgets those of shared layers.
 *
 * @example
 * disposeModel(model);
 */
export function disposeModel(model: LayersModel): void {
  model.weights.forEach(releaseWeight);
}

/** The last holder disposes; before, whether the variable trains is again as the one left has it. */
function releaseWeight(weight: LayerVariable): void {
  const variable = innerVariable(weight);
  if (variable.isDisposed) return;
  const rest = (holders.get(variable) ?? []).filter((holder) => holder !== weight);
  const last = rest.at(-1);
  if (!last) return variable.dispose();
  holders.set(variable, rest);
  variable.trainable = last.trainable;
}
