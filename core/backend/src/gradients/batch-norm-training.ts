import * as tf from '@tensorflow/tfjs-core';
import { BATCH_NORM_TRAINING, BATCH_NORM_TRAINING_GRAD } from '../kernels/own-kernels.js';
import { detach } from '../stop-gradient.js';
import { defineGradient } from './define.js';

interface Attrs {
  readonly epsilon: number;
}

type Three = [tf.Tensor, tf.Tensor, tf.Tensor];

/**
 * The gradient through `y`; mean and variance are constants here. What the kernel keeps for its gradient
 * depends on `x` too, but the gradient of {@link backward} for `x` has that part.
 */
const forward = defineGradient<
  [x: tf.Tensor, scale: tf.Tensor, ...reserved: Three],
  Attrs,
  [dy: tf.Tensor]
>(
  BATCH_NORM_TRAINING,
  { inputs: ['x', 'scale'], outputs: [false, false, false, true, true, true] },
  ([dy], [x, scale, ...reserved], attrs) => {
    const [reserved1, reserved2, reserved3] = reserved.map(detach) as Three;
    const inputs = { dy, x, scale, reserved1, reserved2, reserved3 };
    const [dx, dScale, dOffset] = tf
      .engine()
      .runKernel<Three>(BATCH_NORM_TRAINING_GRAD, inputs, { ...attrs });
    return { x: () => dx, scale: () => dScale, offset: () => dOffset };
  },
);

/**
 * With `n = (x - mean) * r`, `r = 1 / sqrt(variance + ε)` and `P(v) = v - mean(v) - n * mean(v * n)`,
 * the Jacobian of `n` is `r * P`, which is symmetric, so that the kernel gives `dx = scale * r * P(dy)`,
 * `dScale = sum(dy * n)` and `dOffset = sum(dy)`. This is the gradient of
 * `<ddx, dx> + <ddScale, dScale> + <ddOffset, dOffset>`, in ops that can be differentiated again.
 */
const backward = defineGradient<Three, Attrs, Three>(
  BATCH_NORM_TRAINING_GRAD,
  { inputs: ['dy', 'x', 'scale'] },
  ([ddx, ddScale, ddOffset], [dy, x, scale], { epsilon }) => {
    const axes = x.shape.map((_, axis) => axis).slice(0, -1);
    const count = x.size / scale.size;
    const mean = (v: tf.Tensor) => tf.mean(v, axes);
    const centred = tf.sub(x, mean(x));
    const r = tf.rsqrt(tf.add(mean(tf.square(centred)), epsilon));
    const n = tf.mul(centred, r);
    const gain = tf.mul(scale, r);
    const along = mean(tf.mul(dy, n));
    const alongDdx = mean(tf.mul(ddx, n));
    const project = (v: tf.Tensor, vn = mean(tf.mul(v, n))) =>
      tf.sub(tf.sub(v, mean(v)), tf.mul(n, vn));
    const product = tf.sum(tf.mul(ddx, project(dy, along)), axes);
    const bent = tf.mul(gain, tf.add(tf.mul(along, ddx), tf.mul(alongDdx, dy)));
    const stretched = tf.mul(tf.mul(tf.mul(gain, r), tf.div(product, count)), n);
    return {
      dy: () => tf.add(tf.add(tf.mul(gain, project(ddx, alongDdx)), tf.mul(ddScale, n)), ddOffset),
      x: () => tf.sub(tf.mul(r, project(tf.sub(tf.mul(ddScale, dy), bent))), stretched),
      scale: () => tf.mul(r, product),
    };
  },
);

export const batchNormTraining: readonly tf.GradConfig[] = [forward, backward];
