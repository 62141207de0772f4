import * as tf from '@tensorflow/tfjs-core';

/** `tf.tidy` for results that hold tensors beside other things. */
export function scoped<T>(fn: () => T): T {
  return tf.tidy(fn as () => tf.TensorContainer) as T;
}
