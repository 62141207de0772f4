import * as tf from '@tensorflow/tfjs-core';

/**
 * `tf.tidy` for results that hold tensors beside other things: those that `tensorsOf` names stay
 * (`tf.tidy` would look for them everywhere).
 */
export function tidyExcept<T>(tensorsOf: (result: T) => readonly tf.Tensor[], fn: () => T): T {
  let result!: T;
  tf.tidy(() => {
    result = fn();
    return tensorsOf(result) as tf.Tensor[];
  });
  return result;
}
