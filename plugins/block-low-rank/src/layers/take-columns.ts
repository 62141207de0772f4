import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';

/**
 * Columns of `x` `[n, m]` in another order: column j of the result is column `index[j]`. `index` is
 * a permutation, so the gradient is the inverse permutation: no sum of segments as for a gather.
 */
export function takeColumns(x: Tensor2D, index: Tensor1D): Tensor2D {
  const taken = tf.customGrad((given, save) => {
    // A layer's index may be gone by the time of the gradient.
    (save as tf.GradSaveFunc)([index]);
    return {
      value: tf.gather(given as Tensor2D, index, 1),
      gradFunc: (dy: Tensor, [kept]: Tensor[]) =>
        takeColumns(dy as Tensor2D, inverse(kept as Tensor1D)),
    };
  });
  return taken(x) as Tensor2D;
}

function inverse(index: Tensor1D): Tensor1D {
  const [size] = index.shape;
  const places = tf.range(0, size, 1, 'int32');
  return tf.scatterND(tf.expandDims(index, 1), places, [size]) as Tensor1D;
}
