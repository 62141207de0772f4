import * as tf from '@tensorflow/tfjs-core';
import { unbroadcast } from './broadcasting.js';
import { defineGradient } from './define.js';

type BatchNormSaved = [x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, scale?: tf.Tensor];

/**
 * `y = (x - mean) / sqrt(variance + ε) * scale + offset`, with or without a scale. The statistics are per
 * channel, so that dy is summed first and all that follows is small.
 */
const batchNorm = defineGradient<
  BatchNormSaved & tf.Tensor[],
  { readonly varianceEpsilon: number }
>(
  tf.FusedBatchNorm,
  { inputs: ['x', 'mean', 'variance', 'scale'] },
  (dy, [x, mean, variance, scale], { varianceEpsilon }) => {
    const inverse = tf.rsqrt(tf.add(variance, varianceEpsilon));
    const gain = scale ? tf.mul(scale, inverse) : inverse;
    const total = unbroadcast(dy, mean.shape);
    const moment = unbroadcast(tf.mul(dy, tf.sub(x, mean)), mean.shape);
    return {
      x: () => tf.mul(dy, gain),
      mean: () => tf.neg(tf.mul(total, gain)),
      variance: () => tf.mul(tf.mul(moment, gain), tf.mul(-0.5, tf.square(inverse))),
      scale: () => tf.mul(moment, inverse),
      offset: () => tf.clone(total),
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
