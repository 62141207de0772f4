import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** The terms q·(log q − log p) of KL(q ‖ p), one for each class; they sum to it. */
export function divergeByClass(logQ: Tensor, logP: Tensor): Tensor {
  return tf.mul(tf.exp(logQ), tf.sub(logQ, logP));
}
