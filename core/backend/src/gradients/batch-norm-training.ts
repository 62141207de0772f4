import * as tf from '@tensorflow/tfjs-core';
import { BATCH_NORM_TRAINING, BATCH_NORM_TRAINING_GRAD } from '../kernels/own-kernels.js';
import { defineGradient } from './define.js';
import type { InputGradients } from './define.js';
import { wrapMethod } from './engine.js';
import type { EnginePatch } from './engine.js';

interface Attrs {
  readonly epsilon: number;
}

type Three = [tf.Tensor, tf.Tensor, tf.Tensor];

type ForwardSaved = [x: tf.Tensor, scale: tf.Tensor, ...reserved: Three];

/** Gradients of `y`, mean and variance; `null` where nothing depends on an output. */
type OutputGradients = readonly [dy: tf.Tensor | null, ...(tf.Tensor | null)[]];

/**
 * What the kernel keeps for its gradient depends on `x` too, but the gradient of {@link backward} for `x`
 * has that part.
 */
function forwardGradient(
  [dy, dMean, dVariance]: OutputGradients,
  [x, scale, ...reserved]: ForwardSaved,
  attrs: Attrs,
): InputGradients {
  const [dx, dScale, dOffset] = dy
    ? normalizedGradient(dy, [x, scale, ...reserved], attrs)
    : [tf.zerosLike(x), tf.zerosLike(scale), tf.zerosLike(scale)];
  const rows = x.size / scale.size;
  return {
    x: () => {
      const withMean = dMean ? tf.add(dx, tf.div(dMean, rows)) : dx;
      if (!dVariance) return withMean;
      const centred = tf.sub(x, tf.mean(x, axesOf(x)));
      return tf.add(withMean, tf.mul(centred, tf.mul(dVariance, 2 / rows)));
    },
    scale: () => dScale,
    offset: () => dOffset,
  };
}

function normalizedGradient(
  dy: tf.Tensor,
  [x, scale, reserved1, reserved2, reserved3]: ForwardSaved,
  attrs: Attrs,
): Three {
  const inputs = { dy, x, scale, reserved1, reserved2, reserved3 };
  return tf.engine().runKernel<Three>(BATCH_NORM_TRAINING_GRAD, inputs, { ...attrs });
}

/** All but the last. */
const axesOf = (x: tf.Tensor) => x.shape.map((_, axis) => axis).slice(0, -1);

const forward = defineGradient<ForwardSaved, Attrs, OutputGradients>(
  BATCH_NORM_TRAINING,
  { inputs: ['x', 'scale'], outputs: [false, false, false, true, true, true] },
  forwardGradient,
);

/**
 * For an output that nothing depends on, the engine fills an array of zeros, which for mean and
 * variance would cost more than the gradient itself.
 */
export const skipAbsentGradients: EnginePatch = (engine) =>
  wrapMethod(engine, 'addTapeNode', (record) => (...args) => {
    record(...args);
    const [name, , outputs, , saved, attrs] = args;
    if (name !== BATCH_NORM_TRAINING) return;
    const node = engine.state.activeTape!.find((each) => each.outputs === outputs)!;
    node.gradient = (dys) =>
      forwardGradient(
        dys as unknown as OutputGradients,
        saved as unknown as ForwardSaved,
        attrs as Attrs,
      );
  });

/**
 * With `n = (x - mean) * r`, `r = 1 / sqrt(variance + ε)` and `P(v) = v - mean(v) - n * mean(v * n)`,
 * the Jacobian of `n` is `r * P`, which is symmetric, so that the kernel gives `dx = scale * r * P(dy)`,
 * `dScale = sum(dy * n)` and `dOffset = sum(dy)`. This is the gradient of
 * `<ddx, dx> + <ddScale, dScale> + <ddOffset, dOffset>`, in ops that can be differentiated again.
 */
const backward = defineGradient<[...Three, ...reserved: Three], Attrs, Three>(
  BATCH_NORM_TRAINING_GRAD,
  { inputs: ['dy', 'x', 'scale', 'reserved1', 'reserved2', 'reserved3'] },
  ([ddx, ddScale, ddOffset], [dy, x, scale, ...reserved], { epsilon }) => {
    const axes = axesOf(x);
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
      reserved1: () => tf.zerosLike(reserved[0]),
      reserved2: () => tf.zerosLike(reserved[1]),
      reserved3: () => tf.zerosLike(reserved[2]),
    };
  },
);

export const batchNormTraining: readonly tf.GradConfig[] = [forward, backward];
