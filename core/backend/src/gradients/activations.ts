import * as tf from '@tensorflow/tfjs-core';
import { defineGradient } from './define.js';

/** The derivative of elu is 1 above zero and `y + 1` below: `min(y, 0) + 1`. */
const elu = defineGradient<[tf.Tensor]>(tf.Elu, { outputs: [true] }, (dy, [y]) => ({
  x: () => tf.mul(dy, tf.add(tf.minimum(y, 0), 1)),
}));

export const activations: readonly tf.GradConfig[] = [elu];
