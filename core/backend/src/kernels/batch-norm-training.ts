import * as tf from '@tensorflow/tfjs-core';
import { runNativeOp } from './native.js';

interface Attrs {
  readonly epsilon: number;
}

type Inputs<Names extends string> = Readonly<Record<Names, tf.Tensor>>;

const attributes = ({ epsilon }: Attrs, numbers: Readonly<Record<string, number>> = {}) => ({
  types: ['T', 'U'],
  numbers: { epsilon, ...numbers },
  texts: { data_format: 'NHWC' },
  flags: { is_training: true },
});

const channelsOf = (x: tf.Tensor) => x.shape[x.rank - 1]!;

/** The ops take images. */
const asImages = (x: tf.Tensor) =>
  x.rank === 4 ? x : tf.reshape(x, [x.size / channelsOf(x), 1, 1, channelsOf(x)]);

const likeInput = (y: tf.Tensor, x: tf.Tensor) => (x.rank === 4 ? y : tf.reshape(y, x.shape));

/**
 * Batch normalization by the statistics of the batch, over all axes but the last: `[y, mean, variance]`
 * and three tensors that the gradient needs. TensorFlow gives the variance of the population that the
 * batch is drawn from; that of the batch, by which it normalizes, is smaller.
 */
export const batchNormTraining: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { x, scale, offset } = inputs as unknown as Inputs<'offset' | 'scale' | 'x'>;
  const given = attributes(attrs as unknown as Attrs, { exponential_avg_factor: 1 });
  const count = x.size / channelsOf(x);
  return tf.tidy(() => {
    const none = tf.tensor1d([]);
    const operands = [asImages(x), scale, offset, none, none];
    const made = runNativeOp(backend, 'FusedBatchNormV3', operands, given, 6);
    const [y, mean, variance, ...reserved] = made;
    return [likeInput(y!, x), mean!, tf.mul(variance!, (count - 1) / count), ...reserved];
  });
};

/** The gradients of `x`, `scale` and `offset`. */
export const batchNormTrainingGrad: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { dy, x, scale, ...reserved } = inputs as unknown as Inputs<
    'dy' | 'reserved1' | 'reserved2' | 'reserved3' | 'scale' | 'x'
  >;
  return tf.tidy(() => {
    const kept = [reserved.reserved1, reserved.reserved2, reserved.reserved3];
    const operands = [asImages(dy), asImages(x), scale, ...kept];
    const given = attributes(attrs as unknown as Attrs);
    const [dx, dScale, dOffset] = runNativeOp(backend, 'FusedBatchNormGradV3', operands, given, 5);
    return [likeInput(dx!, x), dScale!, dOffset!];
  });
};
