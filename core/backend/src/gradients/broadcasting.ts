import * as tf from '@tensorflow/tfjs-core';
import { defineGradient } from './define.js';
import type { InputGradients } from './define.js';

/** Sums `gradient` over the axes along which an input of `shape` was broadcast. */
export function unbroadcast(gradient: tf.Tensor, shape: readonly number[]): tf.Tensor {
  const axes = tf.broadcast_util.getReductionAxes([...shape], gradient.shape);
  const summed = axes.length > 0 ? tf.sum(gradient, axes) : tf.clone(gradient);
  return likeShaped(summed, shape);
}

/** `x` itself where it has the shape: on the native backend a reshape is an op like any other. */
export function likeShaped(x: tf.Tensor, shape: readonly number[]): tf.Tensor {
  return tf.util.arraysEqual(x.shape, [...shape]) ? x : tf.reshape(x, [...shape]);
}

type Pair = [a: tf.Tensor, b: tf.Tensor];

/** The gradient of an elementwise binary op from its two partial derivatives. */
function binary(
  kernelName: string,
  partialA: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  partialB: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
): tf.GradConfig {
  return defineGradient<Pair>(kernelName, { inputs: ['a', 'b'] }, (dy, [a, b]) => ({
    a: () => unbroadcast(tf.mul(dy, partialA(a, b)), a.shape),
    b: () => unbroadcast(tf.mul(dy, partialB(a, b)), b.shape),
  }));
}

const asFloat = (mask: tf.Tensor) => tf.cast(mask, 'float32');

interface MatMulAttrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

function matMulGradients(dy: tf.Tensor, [a, b]: Pair, attrs: MatMulAttrs): InputGradients {
  const { transposeA, transposeB } = attrs;
  const da = () =>
    transposeA ? tf.matMul(b, dy, transposeB, true) : tf.matMul(dy, b, false, !transposeB);
  const db = () =>
    transposeB ? tf.matMul(dy, a, true, transposeA) : tf.matMul(a, dy, !transposeA, false);
  return { a: () => unbroadcast(da(), a.shape), b: () => unbroadcast(db(), b.shape) };
}

export const broadcasting: readonly tf.GradConfig[] = [
  binary(
    tf.Maximum,
    (a, b) => asFloat(tf.greaterEqual(a, b)),
    (a, b) => asFloat(tf.less(a, b)),
  ),
  binary(
    tf.Minimum,
    (a, b) => asFloat(tf.lessEqual(a, b)),
    (a, b) => asFloat(tf.greater(a, b)),
  ),
  binary(
    tf.SquaredDifference,
    (a, b) => tf.mul(2, tf.sub(a, b)),
    (a, b) => tf.mul(2, tf.sub(b, a)),
  ),
  defineGradient<Pair, MatMulAttrs>(tf.BatchMatMul, { inputs: ['a', 'b'] }, matMulGradients),
];
