import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import type { NamedTensors } from '@espalier/base';
import type { GradientTransform, OptimizerState } from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';

/** Tensors by path on the host: what a checkpoint would hold. */
export type Values = Readonly<Record<string, { shape: number[]; data: Float32Array }>>;
export interface State {
  readonly params: Values;
  readonly slots: Readonly<Record<string, Values>>;
}

export function values(shapes: Readonly<Record<string, number[]>>, fill: () => number): Values {
  return mapValues(shapes, (shape) => ({
    shape,
    data: Float32Array.from({ length: tf.util.sizeFromShape(shape) }, fill),
  }));
}

export function mapValues<T, U>(
  record: Readonly<Record<string, T>>,
  map: (value: T, key: string) => U,
): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]));
}

export function toTensors(host: Values): NamedTensors {
  return mapValues(host, ({ shape, data }) => tf.tensor(data.slice(), shape, 'float32'));
}

export function toValues(tensors: NamedTensors): Values {
  return mapValues(tensors, (t) => ({ shape: t.shape, data: Float32Array.from(t.dataSync()) }));
}

export function begin(transform: GradientTransform, params: Values): State {
  return tf.tidy(() => ({
    params,
    slots: mapValues(transform.init(toTensors(params)), (slot) => toValues(slot)),
  }));
}

/** Applies steps `from` … `from + gradients.length − 1` as a training loop would. */
export function train(
  transform: GradientTransform,
  state: State,
  gradients: readonly Values[],
  from = 0,
): State {
  let now = tf.tidy(() => ({
    params: toTensors(state.params),
    slots: mapValues(state.slots, toTensors) as OptimizerState,
  }));
  gradients.forEach((hostGrads, i) => {
    const next = tf.tidy(() => {
      const { updates, state: slots } = transform.update(
        toTensors(hostGrads),
        now.slots,
        now.params,
        {
          step: from + i,
        },
      );
      return {
        params: mapValues(now.params, (param, path) => plus(param, updates[path])),
        slots: mapValues(slots, (slot) => mapValues(slot, (tensor) => tf.clone(tensor))),
      };
    });
    tf.dispose([now.params, now.slots]);
    now = next;
  });
  const end = { params: toValues(now.params), slots: mapValues(now.slots, toValues) };
  tf.dispose([now.params, now.slots]);
  return end;
}

function plus(param: tf.Tensor, update: tf.Tensor | undefined): tf.Tensor {
  return update ? tf.add(param, update) : tf.clone(param);
}

/** Deterministic numbers in [-1, 1): mulberry32. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}
