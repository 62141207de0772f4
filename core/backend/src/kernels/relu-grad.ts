import type * as tf from '@tensorflow/tfjs-core';
import { runNativeOp } from './native.js';

/** `dy` where `x` is above zero, else 0. */
export const reluGrad: tf.KernelFunc = ({ inputs, backend }) => {
  const { dy, x } = inputs as unknown as Readonly<Record<'dy' | 'x', tf.Tensor>>;
  return runNativeOp(backend, 'ReluGrad', [dy, x], { types: ['T'] })[0]!;
};
