import * as tf from '@tensorflow/tfjs-core';
import { example, input } from '../cases.js';

const einsum = (equation: string, ...shapes: number[][]) =>
  example(
    `einsum ${equation}`,
    (...operands: tf.Tensor[]) => tf.mul(2, tf.einsum(equation, ...operands)),
    shapes,
    { kernel: tf.Einsum },
  );

export const products = [
  example('matMul', (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b), [
    [2, 3],
    [3, 4],
  ]),
  example('matMul, transposed', (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, true, true), [
    [3, 2],
    [4, 3],
  ]),
  example('matMul, broadcast a', (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b), [
    [2, 3],
    [2, 3, 2],
  ]),
  example(
    'matMul, broadcast b, transposed',
    (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, false, true),
    [
      [2, 2, 3],
      [1, 2, 3],
    ],
  ),
  example('dot', (a: tf.Tensor, b: tf.Tensor) => tf.dot(a, b), [[3], [3]]),
  example(
    'outerProduct',
    (a: tf.Tensor, b: tf.Tensor) => tf.outerProduct(a as tf.Tensor1D, b as tf.Tensor1D),
    [[3], [2]],
  ),
  einsum('ij,jk->ik', [2, 3], [3, 2]),
  einsum('bij,bkj->kbi', [2, 2, 3], [2, 3, 3]),
  einsum('ijz,j->i', [2, 3, 2], [3]),
  einsum('ij->j', [2, 3]),
  einsum('ij->ij', [2, 3]),
  example(
    'attention',
    (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
      tf.matMul(tf.softmax(tf.matMul(q, k, false, true)), v),
    [
      [2, 3, 2],
      [2, 3, 2],
      [2, 3, 2],
    ],
  ),
  example(
    'fused.matMul, linear',
    (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) =>
      tf.fused.matMul({ a, b, transposeA: false, transposeB: false, bias }),
    [[2, 3], [3, 4], [4]],
  ),
  example(
    'fused.matMul, sigmoid',
    (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) =>
      tf.fused.matMul({ a, b, transposeA: false, transposeB: false, bias, activation: 'sigmoid' }),
    [[2, 3], [3, 4], [4]],
  ),
  example(
    'tanh network',
    (w: tf.Tensor, u: tf.Tensor) => tf.tanh(tf.matMul(tf.tanh(tf.matMul(tf.ones([2, 3]), w)), u)),
    [
      [3, 4],
      [4, 2],
    ],
  ),
];

const labels = () =>
  tf.tensor2d([
    [1, 0, 0, 0],
    [0, 0, 1, 0],
    [0, 0, 0, 1],
  ]);

export const losses = [
  example(
    'cross-entropy by logSoftmax',
    (z: tf.Tensor) => tf.neg(tf.sum(tf.mul(labels(), tf.logSoftmax(z)), 1)),
    [[3, 4]],
  ),
  example(
    'losses.softmaxCrossEntropy',
    (z: tf.Tensor) => tf.losses.softmaxCrossEntropy(labels(), z),
    [[3, 4]],
    { orders: [1] },
  ),
  example(
    'losses.sigmoidCrossEntropy',
    (z: tf.Tensor) => tf.losses.sigmoidCrossEntropy(labels(), z),
    [[3, 4]],
  ),
  example('losses.meanSquaredError', (z: tf.Tensor) => tf.losses.meanSquaredError(labels(), z), [
    [3, 4],
  ]),
  example('losses.huberLoss', (z: tf.Tensor) => tf.losses.huberLoss(labels(), z), [
    input([3, 4], -2.2, 2.4),
  ]),
  example('losses.logLoss', (p: tf.Tensor) => tf.losses.logLoss(labels(), p), [
    input([3, 4], 0.2, 0.8),
  ]),
  example('losses.cosineDistance', (z: tf.Tensor) => tf.losses.cosineDistance(labels(), z, 1), [
    [3, 4],
  ]),
  example('losses.hingeLoss', (z: tf.Tensor) => tf.losses.hingeLoss(labels(), z), [[3, 4]]),
];
