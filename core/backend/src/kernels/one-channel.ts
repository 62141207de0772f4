import * as tf from '@tensorflow/tfjs-core';

/**
 * TensorFlow 2.21 computes a wrong gradient, by the input, of a convolution from one channel to one
 * where it uses oneDNN. A second output channel of zeros takes it another way.
 */
export const oneChannel = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const { dy, filter } = params.inputs as unknown as Record<'dy' | 'filter', tf.Tensor4D>;
    if (filter.shape[2] !== 1 || filter.shape[3] !== 1) return original(params);
    const { dataFormat } = params.attrs as { dataFormat?: string };
    const inputs = {
      dy: withZeros(dy, dataFormat === 'NCHW' ? 1 : 3),
      filter: withZeros(filter, 3),
    };
    const result = original({ ...params, inputs });
    tf.dispose(inputs);
    return result;
  };
};

function withZeros(tensor: tf.Tensor4D, axis: number): tf.Tensor4D {
  return tf.tidy(() => tf.concat([tensor, tf.zerosLike(tensor)], axis));
}
