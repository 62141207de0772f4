import * as tf from '@tensorflow/tfjs-core';
import { hasKernel, RELU_GRAD } from '../kernels/own-kernels.js';
import { defineGradient, runKernel } from './define.js';

/** The derivative of elu is 1 above zero and `y + 1` below: `min(y, 0) + 1`. */
const elu = defineGradient<[tf.Tensor]>(tf.Elu, { outputs: [true] }, (dy, [y]) => ({
  x: () => tf.mul(dy, tf.add(tf.minimum(y, 0), 1)),
}));

const relu = defineGradient<[tf.Tensor]>(tf.Relu, { inputs: ['x'] }, (dy, [x]) => ({
  x: () =>
    x.dtype === 'float32' && hasKernel(RELU_GRAD)
      ? runKernel(RELU_GRAD, { dy, x }, {})
      : tf.mul(dy, tf.cast(tf.step(x), 'float32')),
}));

const reluGrad = defineGradient<[tf.Tensor]>(RELU_GRAD, { inputs: ['x'] }, (ddx, [x]) => ({
  dy: () => runKernel(RELU_GRAD, { dy: ddx, x }, {}),
  x: () => tf.zeros(x.shape),
}));

export const activations: readonly tf.GradConfig[] = [elu, relu, reluGrad];
