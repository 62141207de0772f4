import * as tf from '@tensorflow/tfjs-core';

let calls = 0;

/** How often {@link stopGradient} has been called: tells whether a function used it. */
export const stopGradientCalls = (): number => calls;

/** The value of `x` as a constant: a tape node without inputs, which no path runs through. */
export function detach(x: tf.Tensor | tf.TensorLike): tf.Tensor {
  // A custom gradient records only itself, and it is given no input here.
  return tf.customGrad(() => ({ value: tf.clone(x), gradFunc: () => [] }))();
}

/**
 * Returns the value of `x`, cut off from the tape: nothing before `x` gets a gradient through the
 * result, at any order of differentiation, and no backward pass runs through what was cut off.
 *
 * Where a differentiated function uses it, an input that no other path reaches gets exact zeros
 * from `tf.grad`, `tf.grads`, `tf.valueAndGrad(s)` and `tf.variableGrads`, instead of the error
 * "Cannot compute gradient of y=f(x)" (with {@link installGradients} in force; without it, tfjs
 * reports such an input as unconnected). A function without `stopGradient` keeps that error, which
 * usually points at a mistake.
 *
 * @param x A tensor, or anything that `tf.tensor` takes.
 * @returns A new tensor of the same shape, dtype and values; the caller disposes it.
 * @example
 * ```ts
 * const f = (x: tf.Tensor) => tf.sum(tf.mul(x, stopGradient(x)));
 * tf.grad(f)(tf.tensor1d([2, 3])); // [2, 3], not [4, 6]
 * ```
 */
export function stopGradient(x: tf.Tensor | tf.TensorLike): tf.Tensor {
  calls += 1;
  return detach(x);
}
