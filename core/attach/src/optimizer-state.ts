import { EspalierError } from '@espalier/core';
import type { GradientTransform, NamedTensors, OptimizerState } from '@espalier/core';
import { listParameters } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';
import { findTrainedModel, mapPaths } from './compiled-model.js';

/** What an optimizer of tfjs remembers: steps, and by slot and path what it keeps of each parameter. */
export interface RememberedState {
  readonly steps: number;
  readonly state: OptimizerState;
}

type NamedTensor = Awaited<ReturnType<tf.Optimizer['getWeights']>>[number];

/** Slots of the exact variants, in the order in which `getWeights` of tfjs lists them. */
function listSlots(optimizer: tf.Optimizer): readonly string[] {
  const names: readonly (readonly [unknown, readonly string[]])[] = [
    [tf.SGDOptimizer, []],
    [tf.MomentumOptimizer, ['tfjs.momentum/momentum']],
    [tf.AdamOptimizer, ['tfjs.adam/m', 'tfjs.adam/v']],
    [tf.RMSPropOptimizer, ['tfjs.rmsprop/rms', 'tfjs.rmsprop/momentum']],
    [tf.AdagradOptimizer, ['tfjs.adagrad/accumulator']],
    [tf.AdadeltaOptimizer, ['tfjs.adadelta/accum_grad', 'tfjs.adadelta/accum_var']],
  ];
  const slots = names.find(([made]) => made === optimizer.constructor)?.[1];
  if (!slots) throw noStateError(optimizer);
  return optimizer.getConfig()['centered'] === true ? [...slots, 'tfjs.rmsprop/mg'] : slots;
}

/**
 * What the compiled optimizer remembers of the steps that it has taken; nothing where it has taken none.
 *
 * @throws EspalierError `attach/optimizer-used` for one of which tfjs cannot tell.
 */
export async function readState(
  optimizer: tf.Optimizer,
  model: LayersModel,
): Promise<RememberedState | undefined> {
  if (optimizer.iterations === 0) return undefined;
  const slots = listSlots(optimizer);
  const paths = new Map(listParameters(model).map(({ path, variable }) => [variable.name, path]));
  const [iterations, ...entries] = await optimizer.getWeights();
  iterations!.tensor.dispose();
  const count = entries.length / Math.max(slots.length, 1);
  const state = slots.map((slot, k) => {
    const own = entries.slice(k * count, (k + 1) * count).flatMap(({ name, tensor }) => {
      const path = paths.get(name.slice(0, name.lastIndexOf('/')));
      return path === undefined ? [] : [[path, tf.keep(tf.clone(tensor))] as const];
    });
    return [slot, Object.fromEntries(own)] as const;
  });
  return { steps: optimizer.iterations, state: Object.fromEntries(state) };
}

/** Lets a transform go on from what an optimizer remembers. */
export function goOnFrom(
  transform: GradientTransform,
  { steps, state }: RememberedState,
): GradientTransform {
  return {
    ...transform,
    init: (params) => {
      const fresh = Object.entries(transform.init(params));
      return Object.fromEntries(
        fresh.map(([slot, values]) => [slot, replaceKnown(values, state[slot] ?? {})]),
      );
    },
    update: (grads, now, params, info) =>
      transform.update(grads, now, params, { ...info, step: info.step + steps }),
    learningRate: (step, path) => transform.learningRate?.(step + steps, path),
    dispose() {
      Object.values(state).forEach((values) => tf.dispose(values as tf.NamedTensorMap));
      transform.dispose?.();
    },
  };
}

function replaceKnown(values: NamedTensors, known: NamedTensors): NamedTensors {
  return Object.fromEntries(
    Object.entries(values).map(([path, value]) => [
      path,
      known[path] ? tf.clone(known[path]) : value,
    ]),
  );
}

/**
 * Writes into the compiled optimizer what a run remembers, so that tfjs trains on and saves as if it had
 * trained. tfjs finds it by the position of the weights that train; one that the run replaced begins anew.
 */
export async function writeState(
  optimizer: tf.Optimizer,
  model: LayersModel,
  { steps, state }: RememberedState,
): Promise<void> {
  const slots = listSlots(optimizer);
  const weights = listTraining(model);
  const before = optimizer.iterations === 0 ? [] : await optimizer.getWeights();
  const iterations = { name: 'iter', tensor: tf.scalar(steps, 'int32') };
  const entries = slots.flatMap((slot) => {
    const suffix = slot.slice(slot.lastIndexOf('/'));
    return weights.map(({ path, variable }): NamedTensor => {
      const known = state[slot]?.[path];
      const tensor = known ? tf.clone(known) : makeInitial(optimizer, variable);
      return { name: variable.name + suffix, tensor };
    });
  });
  await optimizer.setWeights([iterations, ...entries]);
  tf.dispose([iterations, ...entries, ...before].map(({ tensor }) => tensor));
}

/** The weights that were compiled to train and are not frozen, in the order of tfjs. */
function listTraining(model: LayersModel) {
  const paths = mapPaths(model);
  return findTrainedModel(model)
    .collectedTrainableWeights.filter(({ trainable }) => trainable)
    .map((variable) => ({ path: paths.get(variable)!, variable }));
}

function makeInitial(optimizer: tf.Optimizer, { shape }: LayerVariable): tf.Tensor {
  const value = optimizer.getConfig()['initialAccumulatorValue'] ?? 0;
  return tf.fill([...shape] as number[], value as number);
}

/** Whether {@link writeState} can do it. */
export function keepsState(optimizer: tf.Optimizer): boolean {
  try {
    listSlots(optimizer);
    return true;
  } catch {
    return false;
  }
}

function noStateError(optimizer: tf.Optimizer): EspalierError {
  return new EspalierError('attach/optimizer-used', {
    problem: `attach: the compiled optimizer has taken ${optimizer.iterations} steps, and TensorFlow.js does not give out what ${optimizer.getClassName()} remembers of them`,
    received: optimizer.getClassName(),
    fix: 'Attach before the first fit, or compile the model again.',
  });
}
