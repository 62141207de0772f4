import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { BilevelProblem, FromPhi, PhiFunction } from './problem.js';
import { mapTensors } from './tensor-math.js';

/** One call of `made` in an evaluation of the inner loss. */
export interface Call {
  readonly inputs: NamedTensors;
  readonly make: PhiFunction;
  readonly made: NamedTensors;
}

/**
 * Runs `work` with a `made` for it and gives back the calls, whose tensors outlive the scopes of the
 * evaluation. What the evaluation gets of each is changed by `handOn`.
 */
export function recordCalls<T>(
  { phi }: BilevelProblem,
  work: (made: FromPhi) => T,
  handOn: (made: tf.Tensor) => tf.Tensor = (made) => made,
): { readonly result: T; readonly calls: readonly Call[] } {
  const kept: Call[] = [];
  const made: FromPhi = (inputs = {}, make = (all) => all) => {
    const results = make(phi, inputs);
    kept.push({ inputs: mapTensors(inputs, keepCopy), make, made: mapTensors(results, keepCopy) });
    return mapTensors(results, handOn);
  };
  try {
    const result = work(made);
    const calls = kept.map((call) => ({
      inputs: mapTensors(call.inputs, tf.clone),
      make: call.make,
      made: mapTensors(call.made, tf.clone),
    }));
    return { result, calls };
  } finally {
    kept.forEach(({ inputs, made }) => tf.dispose([inputs, made]));
  }
}

const keepCopy = (tensor: tf.Tensor) => tf.keep(tf.clone(tensor));
