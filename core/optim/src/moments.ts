import { parseOptions } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { withSettings } from './describe.js';
import { rootOf } from './root-of.js';
import { valueAt } from './schedules.js';
import * as is from './schemas.js';
import type { GradientTransform } from './transform.js';
import { noRate, perParameter, rateOf } from './transform.js';

const traceOptions = z.strictObject({
  momentum: is.fraction,
  nesterov: z.boolean().default(false),
});

/**
 * Momentum: `b ← momentum·b + g`. The update is b, or `g + momentum·b` with `nesterov` (Sutskever
 * et al., ICML 2013, in PyTorch's form).
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * chain(trace({ momentum: 0.9 }), scaleByLearningRate(0.1));
 */
export function trace(options: z.input<typeof traceOptions>): GradientTransform {
  const { momentum, nesterov } = parseOptions('trace', traceOptions, options);
  const transform = perParameter('trace', ['b'], () => {
    const keep = tf.scalar(momentum);
    return (grad, [before]) => {
      const b = tf.add(tf.mul(before, keep), grad);
      return [nesterov ? tf.add(grad, tf.mul(b, keep)) : b, b];
    };
  });
  return withSettings({ ...transform, learningRate: noRate }, { momentum, nesterov });
}

export const adamScaling = z.strictObject({
  b1: is.fraction.default(0.9), // decay of the first moment
  b2: is.fraction.default(0.999), // decay of the second moment
  eps: is.positive.default(1e-8),
  factor: is.schedule.default(1), // multiplied in; adam passes minus the learning rate
});

/**
 * Adam's direction `m̂ / (√v̂ + eps)` (Kingma & Ba, ICLR 2015, algorithm 1). To save operations the state
 * holds plain sums, `m ← b1·m + g` and `v ← b2·v + g²`: the paper's moments over (1 − b1) and (1 − b2).
 * Bias corrections follow the run's step: a parameter whose first gradient comes late in a run gets
 * first updates up to (1 − b1)/√(1 − b2) ≈ 3.2 times as large, so warm its rate up.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * chain(scaleByAdam({ b2: 0.99 }), scaleByLearningRate(1e-3));
 */
export function scaleByAdam(options: z.input<typeof adamScaling> = {}): GradientTransform {
  const { b1, b2, eps, factor } = parseOptions('scaleByAdam', adamScaling, options);
  const transform = perParameter('adam', ['m', 'v'], ({ step }) => {
    const first = (1 - b1) / (1 - b1 ** (step + 1));
    const root = Math.sqrt((1 - b2) / (1 - b2 ** (step + 1)));
    const direction = overRoot(eps / root, (valueAt(factor, step) * first) / root);
    const [decay1, decay2] = [tf.scalar(b1), tf.scalar(b2)];
    return (grad, [sum, squares]) => {
      const m = tf.add(tf.mul(sum, decay1), grad);
      const v = tf.add(tf.mul(squares, decay2), tf.square(grad));
      return [direction(m, v), m, v];
    };
  });
  return withSettings({ ...transform, learningRate: rateOf(factor) }, { b1, b2, eps, factor });
}

export const rmsScaling = z.strictObject({
  decay: is.fraction.default(0.99), // of the mean square: PyTorch's alpha
  eps: is.positive.default(1e-8),
  centered: z.boolean().default(false), // divide by the standard deviation instead
});

/**
 * Divides by the root mean square of past gradients, `g / (√v + eps)` (Tieleman & Hinton, Coursera
 * 2012; centered: Graves, arXiv:1308.0850). The state holds plain sums as in {@link scaleByAdam}; a
 * centered variance that rounding made negative counts as 0.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * chain(scaleByRms({ centered: true }), scaleByLearningRate(0.01));
 */
export function scaleByRms(options: z.input<typeof rmsScaling> = {}): GradientTransform {
  const { decay, eps, centered } = parseOptions('scaleByRms', rmsScaling, options);
  const root = Math.sqrt(1 - decay);
  const slots = centered ? ['v', 'mean'] : ['v'];
  const transform = perParameter<readonly string[]>('rms', slots, () => {
    const [keep, direction] = [tf.scalar(decay), overRoot(eps / root, 1 / root)];
    return (grad, [squares, sum]) => {
      const v = tf.add(tf.mul(squares as tf.Tensor, keep), tf.square(grad));
      if (!sum) return [direction(grad, v), v];
      const mean = tf.add(tf.mul(sum, keep), grad);
      const variance = tf.relu(tf.sub(v, tf.mul(tf.square(mean), 1 - decay)));
      return [direction(grad, variance), v, mean];
    };
  });
  return withSettings({ ...transform, learningRate: noRate }, { decay, eps, centered });
}

/** (a, v) → factor · a / (√v + eps). */
function overRoot(eps: number, factor: number) {
  const [floor, by] = [tf.scalar(eps), tf.scalar(factor)];
  return (a: tf.Tensor, v: tf.Tensor) => tf.mul(tf.div(a, tf.add(rootOf(v), floor)), by);
}
