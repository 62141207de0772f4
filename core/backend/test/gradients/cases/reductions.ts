import * as tf from '@tensorflow/tfjs-core';
import { example, input } from '../cases.js';

const x = [2, 3, 4];

export const reductions = [
  example('sum', (a: tf.Tensor) => tf.sum(a, [0, 2]), [x]),
  example('mean', (a: tf.Tensor) => tf.mean(a, 1, true), [x]),
  example('max', (a: tf.Tensor) => tf.max(a, 1), [x]),
  example('min', (a: tf.Tensor) => tf.min(a, [0, 2], true), [x]),
  example('prod', (a: tf.Tensor) => tf.prod(a, 1), [x]),
  example('prod, last axis', (a: tf.Tensor) => tf.prod(a, -1), [input(x, 0.5, 1.5)]),
  example('prod, two axes', (a: tf.Tensor) => tf.prod(a, [0, 2]), [input(x, 0.7, 1.3)]),
  example('prod, all', (a: tf.Tensor) => tf.prod(a), [input([2, 3], 0.5, 1.5)]),
  example('logSumExp', (a: tf.Tensor) => tf.logSumExp(a, 1), [x]),
  example('norm', (a: tf.Tensor) => tf.norm(a, 2, 1), [x]),
  example('euclideanNorm', (a: tf.Tensor) => tf.euclideanNorm(a, 1), [x]),
  example('moments', (a: tf.Tensor) => tf.moments(a, [0, 1]).variance, [x]),
  example('cumsum, first axis', (a: tf.Tensor) => tf.cumsum(a, 0), [x]),
  example('cumsum, middle axis, exclusive', (a: tf.Tensor) => tf.cumsum(a, 1, true), [x]),
  example('cumsum, last axis, reverse', (a: tf.Tensor) => tf.cumsum(a, 2, false, true), [x]),
  example('cumprod', (a: tf.Tensor) => tf.cumprod(a, 1), [x]),
  example('cumprod, exclusive, reverse', (a: tf.Tensor) => tf.cumprod(a, 2, true, true), [x]),
  example(
    'cumprod through zero',
    (a: tf.Tensor) => tf.cumprod(tf.mul(a, tf.tensor([1, 0, 2, 1]))),
    [[4]],
  ),
  example('softmax', (a: tf.Tensor) => tf.softmax(a), [[3, 4]]),
  example('logSoftmax', (a: tf.Tensor) => tf.logSoftmax(a), [[3, 4]]),
  example('topk', (a: tf.Tensor) => tf.topk(a, 2).values, [[3, 5]]),
];
