import * as tf from '@tensorflow/tfjs-core';
import { unbroadcast } from './broadcasting.js';
import { defineGradient } from './define.js';

type BatchNormSaved = [x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, scale?: tf.Tensor];

/** `y = (x - mean) / sqrt(variance + ε) * scale + offset`, with or without a scale. */
const batchNorm = defineGradient<
  BatchNormSaved & tf.Tensor[],
  { readonly varianceEpsilon: number }
>(
  tf.FusedBatchNorm,
  { inputs: ['x', 'mean', 'variance', 'scale'] },
  (dy, [x, mean, variance, scale], { varianceEpsilon }) => {
    const inverse = () => tf.rsqrt(tf.add(variance, varianceEpsilon));
    const scaled = () => (scale ? tf.mul(dy, scale) : dy);
    const centred = () => tf.sub(x, mean);
    const dx = () => tf.mul(scaled(), inverse());
    const dVariance = () => {
      const cube = tf.mul(inverse(), tf.square(inverse()));
      return tf.mul(tf.mul(scaled(), centred()), tf.mul(-0.5, cube));
    };
    return {
      x: dx,
      mean: () => unbroadcast(tf.neg(dx()), mean.shape),
      variance: () => unbroadcast(dVariance(), variance.shape),
      scale: () => unbroadcast(tf.mul(dy, tf.mul(centred(), inverse())), scale!.shape),
      offset: () => unbroadcast(dy, mean.shape),
    };
  },
);

interface LrnAttrs {
  readonly depthRadius: number;
  readonly bias: number;
  readonly alpha: number;
  readonly beta: number;
}

/** `[channels, channels]`: 1 where two channels lie within the radius of each other. */
function neighbours(channels: number, radius: number): tf.Tensor2D {
  const band = new Float32Array(channels * channels);
  for (let i = 0; i < channels; i++) {
    for (let j = 0; j < channels; j++) band[i * channels + j] = Math.abs(i - j) <= radius ? 1 : 0;
  }
  return tf.tensor2d(band, [channels, channels]);
}

/**
 * With `n = bias + alpha * sum(x² over neighbouring channels)` and `y = x * n^-beta`:
 * `dx = dy * n^-beta - 2 * alpha * beta * x * sum(dy * x * n^(-beta-1))`
 * (Krizhevsky et al., "ImageNet classification with deep convolutional networks", 2012, eq. in 3.3).
 * Written with ops that can be differentiated again, which the kernel LRNGrad cannot.
 */
function lrnGradient(dy: tf.Tensor, x: tf.Tensor, attrs: LrnAttrs): tf.Tensor {
  const { depthRadius, bias, alpha, beta } = attrs;
  const channels = x.shape[x.rank - 1]!;
  const band = neighbours(channels, depthRadius);
  const sumNear = (t: tf.Tensor) =>
    tf.reshape(tf.matMul(tf.reshape(t, [-1, channels]), band), x.shape);
  const n = tf.add(bias, tf.mul(alpha, sumNear(tf.square(x))));
  const direct = tf.mul(dy, tf.pow(n, -beta));
  const through = sumNear(tf.mul(tf.mul(dy, x), tf.pow(n, -beta - 1)));
  return tf.sub(direct, tf.mul(2 * alpha * beta, tf.mul(x, through)));
}

const lrn = defineGradient<[tf.Tensor], LrnAttrs>(tf.LRN, { inputs: ['x'] }, (dy, [x], attrs) => ({
  x: () => lrnGradient(dy, x, attrs),
}));

export const normalization: readonly tf.GradConfig[] = [batchNorm, lrn];
