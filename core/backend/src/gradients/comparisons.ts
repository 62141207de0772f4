import * as tf from '@tensorflow/tfjs-core';
import { defineGradient } from './define.js';

/**
 * A piecewise constant op: its derivative is zero wherever it has one. tfjs registers none for most
 * comparisons, so an op that uses one as a mask cannot be differentiated twice; where it does, the
 * zeros have the mask's dtype, which the engine then refuses.
 */
function constant(kernelName: string, inputNames: readonly string[]): tf.GradConfig {
  return defineGradient<tf.Tensor[]>(kernelName, { inputs: inputNames }, (_dy, saved) =>
    Object.fromEntries(
      saved.map((input, i) => [inputNames[i]!, () => tf.zeros(input.shape, 'float32')]),
    ),
  );
}

const comparisonKernels = [
  tf.Equal,
  tf.NotEqual,
  tf.Greater,
  tf.GreaterEqual,
  tf.Less,
  tf.LessEqual,
  tf.LogicalAnd,
  tf.LogicalOr,
  // Upstream gives it the derivative of a plain division.
  tf.FloorDiv,
];

const unaryKernels = [
  tf.LogicalNot,
  tf.Any,
  tf.All,
  tf.ArgMax,
  tf.ArgMin,
  tf.IsNan,
  tf.IsInf,
  tf.IsFinite,
  tf.Sign,
  tf.Step,
  tf.Floor,
  tf.Ceil,
  tf.Round,
];

/** A cast to anything but a float cuts the value to steps; upstream passes the gradient through. */
const cast = defineGradient<[], { readonly dtype: tf.DataType }>(
  tf.Cast,
  {},
  (dy, _saved, { dtype }) => ({
    x: () => (dtype === 'float32' || dtype === 'complex64' ? tf.clone(dy) : tf.zeros(dy.shape)),
  }),
);

export const comparisons: readonly tf.GradConfig[] = [
  ...comparisonKernels.map((name) => constant(name, ['a', 'b'])),
  ...unaryKernels.map((name) => constant(name, ['x'])),
  cast,
];
