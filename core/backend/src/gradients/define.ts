import * as tf from '@tensorflow/tfjs-core';

/** The derivative of an op: for each input name, a function that gives that input's gradient. */
export type InputGradients = Record<string, () => tf.Tensor>;

interface Saves {
  /** Names of the inputs that the gradient needs. */
  readonly inputs?: readonly string[];
  /** Save every input, for kernels whose inputs are a list. */
  readonly allInputs?: boolean;
  /** Which outputs the gradient needs, by position. */
  readonly outputs?: readonly boolean[];
}

/**
 * A `tf.GradConfig` whose gradient function has the types of this one kernel: tfjs hands every
 * gradient the same loose `(Tensor | Tensor[], Tensor[], NamedAttrMap)`.
 */
export function defineGradient<
  Saved extends readonly tf.Tensor[] = [],
  Attrs = unknown,
  Dy = tf.Tensor,
>(
  kernelName: string,
  saves: Saves,
  gradient: (dy: Dy, saved: Saved, attrs: Attrs) => InputGradients,
): tf.GradConfig {
  return {
    kernelName,
    inputsToSave: saves.inputs ? [...saves.inputs] : [],
    saveAllInputs: saves.allInputs ?? false,
    outputsToSave: saves.outputs ? [...saves.outputs] : [],
    gradFunc: (dy, saved, attrs) =>
      gradient(dy as unknown as Dy, saved as unknown as Saved, attrs as unknown as Attrs),
  };
}

/** Runs one kernel that has a single output and no public op, on the tape like any op. */
export function runKernel(
  kernelName: string,
  inputs: Record<string, tf.Tensor>,
  attrs: object,
): tf.Tensor {
  return tf.engine().runKernel<tf.Tensor>(kernelName, inputs, attrs as tf.NamedAttrMap);
}
