import * as tf from '@tensorflow/tfjs-core';
import { composition } from './repair.js';

interface Inputs {
  readonly a: tf.Tensor3D;
  readonly b: tf.Tensor3D;
  readonly bias?: tf.Tensor;
  readonly preluActivationWeights?: tf.Tensor;
}

interface Attrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly activation: tf.backend_util.Activation;
  readonly leakyreluAlpha?: number;
}

const unfused = composition<Inputs, Attrs>((inputs, attrs) => {
  const product = tf.matMul(inputs.a, inputs.b, attrs.transposeA, attrs.transposeB);
  return tf.backend_util.applyActivation(
    inputs.bias ? tf.add(product, inputs.bias) : product,
    attrs.activation,
    inputs.preluActivationWeights,
    attrs.leakyreluAlpha,
  );
});

/**
 * The wasm kernel hands a single product of operands that are not transposed to XNNPACK. Its loop for
 * all others is not only slow: it adds the last element of the bias to every row but the first.
 */
export const fusedMatMul = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const { a, b } = params.inputs as unknown as Inputs;
    const { transposeA, transposeB } = params.attrs as unknown as Attrs;
    const single = a.shape[0] === 1 && b.shape[0] === 1;
    return single && !transposeA && !transposeB ? original(params) : unfused(params);
  };
};
