import * as tf from '@tensorflow/tfjs-core';
import { defineGradient } from './define.js';

interface Attrs {
  readonly axis: number | number[];
}

/**
 * Repeats `dy` along the axes that were reduced. Upstream multiplies it with ones of the full shape, which
 * it fills one by one in JavaScript.
 */
function repeat(dy: tf.Tensor, shape: number[], axes: readonly number[]): tf.Tensor {
  const kept = shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  const repetitions = shape.map((n, axis) => (axes.includes(axis) ? n : 1));
  return tf.tile(tf.reshape(dy, kept), repetitions);
}

const sum = defineGradient<[tf.Tensor], Attrs>(tf.Sum, { inputs: ['x'] }, (dy, [x], { axis }) => ({
  x: () => repeat(dy, x.shape, tf.util.parseAxisParam(axis, x.shape)),
}));

const mean = defineGradient<[tf.Tensor], Attrs>(tf.Mean, { inputs: ['x'] }, (dy, [x], { axis }) => {
  const axes = tf.util.parseAxisParam(axis, x.shape);
  const count = axes.reduce((product, each) => product * x.shape[each]!, 1);
  return { x: () => repeat(tf.div(dy, count), x.shape, axes) };
});

export const reductions: readonly tf.GradConfig[] = [sum, mean];
