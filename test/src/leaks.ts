import * as tf from '@tensorflow/tfjs-core';

/**
 * Runs `fn` and gives back how many more tensors are alive after it than before. What `fn` returns
 * is disposed first.
 */
export async function tensorsLeakedBy(fn: () => unknown): Promise<number> {
  const before = tf.memory().numTensors;
  tf.dispose((await fn()) as tf.TensorContainer);
  return tf.memory().numTensors - before;
}
