import * as tf from '@tensorflow/tfjs-core';

/**
 * Runs `fn` as `tf.tidy` does, for results that hold tensors among other things. The tensors that
 * `tensorsOf` lists stay alive (`tf.tidy` would look for tensors in every part of the result).
 *
 * @example
 * const step = tidyExcept(
 *   ({ loss }) => [loss],
 *   () => ({ loss: objective(batch), batch }),
 * );
 */
export function tidyExcept<T>(tensorsOf: (result: T) => readonly tf.Tensor[], fn: () => T): T {
  let result!: T;
  tf.tidy(() => {
    result = fn();
    return tensorsOf(result) as tf.Tensor[];
  });
  return result;
}
