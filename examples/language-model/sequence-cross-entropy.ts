import { accuracy } from '@espalier/core';
import type { Loss } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';

/**
 * Softmax cross-entropy of logits `[batch, time, classes]` with class ids `[batch, time]`, averaged
 * over time; metric `accuracy`. What `crossEntropy()` computes, without a one-hot tensor as large
 * as the logits, and with one tensor of that size kept for the backward pass. Differentiable once.
 */
export function sequenceCrossEntropy(): Loss {
  return {
    name: 'cross-entropy',
    classIds: true,
    perExample(output, target) {
      const classes = output.shape.at(-1)!;
      const logits: Tensor2D = tf.reshape(output, [-1, classes]);
      const ids: Tensor1D = tf.reshape(tf.cast(target, 'int32'), [-1]);
      const surprise = negativeLogLikelihood(logits, ids);
      return tf.mean<Tensor1D>(tf.reshape(surprise, [output.shape[0]!, -1]), 1);
    },
    metrics: (output, target) => ({ accuracy: accuracy(output, target) }),
  };
}

/** −log softmax(logits)[id] of each row: logits `[rows, classes]`, ids `[rows]` → `[rows]`. */
export function negativeLogLikelihood(logits: Tensor2D, ids: Tensor1D): Tensor1D {
  const count = ids.shape[0];
  const places: Tensor2D = tf.stack([tf.range(0, count, 1, 'int32'), ids], 1) as Tensor2D;
  return tf.customGrad((...args) => {
    const [x, save] = args as unknown as [Tensor2D, (tensors: Tensor[]) => void];
    const probabilities: Tensor2D = tf.softmax(x);
    save([probabilities, places]);
    return { value: surprise(x, probabilities, places), gradFunc: gradient as never };
  })(logits) as Tensor1D;
}

/** The largest probability is 1 / Σ exp(x − max x), so that its logarithm gives that of the sum. */
function surprise(x: Tensor2D, probabilities: Tensor2D, places: Tensor2D): Tensor1D {
  const logSum = tf.sub(tf.max(x, 1), tf.log(tf.max(probabilities, 1)));
  return tf.sub(logSum, tf.gatherND(x, places));
}

/** dy (softmax − one-hot), row by row. */
function gradient(dy: Tensor1D, [probabilities, places]: [Tensor2D, Tensor2D]): Tensor2D {
  const wanted = tf.sub(tf.gatherND(probabilities, places), 1);
  const towards = tf.tensorScatterUpdate(probabilities, places, wanted);
  return tf.mul(towards, tf.expandDims(dy, 1));
}
