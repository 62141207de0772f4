import { parseOptions } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { withSettings } from '../describe.js';
import { rootOf } from '../root-of.js';
import { valueAt } from '../schedules.js';
import * as is from '../schemas.js';
import type { GradientTransform } from '../transform.js';
import { perParameter, rateOf } from '../transform.js';

// The operations of tf.train.*, in its order, so that every rounding is the same; the trainer's
// `parameter + update` is tfjs's last addition. Names of options and defaults are those of tf.train.*.

const betas = { beta1: is.fraction.default(0.9), beta2: is.fraction.default(0.999) };
/** Default: the backend's, 1e-7 (1e-4 where it computes in 16 bits). */
const epsilon = is.nonNegative.nullish();

const sgdOptions = z.strictObject({ learningRate: is.learningRate });
const momentumOptions = sgdOptions.extend({
  momentum: is.fraction,
  useNesterov: z.boolean().default(false),
});
const adamOptions = z.strictObject({
  learningRate: is.learningRate.default(0.001),
  ...betas,
  epsilon,
});
const adamaxOptions = z.strictObject({
  learningRate: is.learningRate.default(0.002),
  ...betas,
  epsilon,
  decay: is.nonNegative.default(0), // of the rate: divided by 1 + decay·step
});
const rmspropOptions = sgdOptions.extend({
  decay: is.fraction.default(0.9), // of the mean square
  momentum: is.fraction.default(0),
  epsilon,
  centered: z.boolean().default(false),
});
const adagradOptions = sgdOptions.extend({ initialAccumulatorValue: is.positive.default(0.1) });
const adadeltaOptions = z.strictObject({
  learningRate: is.learningRate.default(0.001),
  rho: is.fraction.default(0.95),
  epsilon,
});

/** `tf.train.sgd`, to the bit: `tfjs.sgd({ learningRate: 0.1 })`. */
export function sgd(options: z.input<typeof sgdOptions>): GradientTransform {
  const parsed = parseOptions('tfjs.sgd', sgdOptions, options);
  const { learningRate } = parsed;
  const transform = perParameter('tfjs.sgd', [], ({ step }) => {
    const rate = tf.scalar(-valueAt(learningRate, step));
    return (grad) => [tf.mul(rate, grad)];
  });
  return withSettings({ ...transform, learningRate: rateOf(learningRate) }, parsed);
}

/**
 * `tf.train.momentum`, to the bit:
 * `tfjs.momentum({ learningRate: 0.1, momentum: 0.9, useNesterov: true })`.
 */
export function momentum(options: z.input<typeof momentumOptions>): GradientTransform {
  const parsed = parseOptions('tfjs.momentum', momentumOptions, options);
  const { learningRate, useNesterov } = parsed;
  const transform = perParameter('tfjs.momentum', ['momentum'], ({ step }) => {
    const rate = tf.scalar(-valueAt(learningRate, step));
    const keep = tf.scalar(parsed.momentum);
    return (grad, [before]) => {
      const sum = tf.add(tf.mul(keep, before), grad);
      const direction = useNesterov ? tf.add(grad, tf.mul(sum, keep)) : sum;
      return [tf.mul(rate, direction), sum];
    };
  });
  return withSettings({ ...transform, learningRate: rateOf(learningRate) }, parsed);
}

/** `tf.train.adam`, to the bit: `tfjs.adam({ learningRate: 0.01 })`. */
export function adam(options: z.input<typeof adamOptions> = {}): GradientTransform {
  const parsed = parseOptions('tfjs.adam', adamOptions, options);
  const { learningRate, beta1, beta2 } = parsed;
  const [power1, power2] = [accumulatePower(beta1), accumulatePower(beta2)];
  const transform = perParameter('tfjs.adam', ['m', 'v'], ({ step }) => {
    const correction1 = tf.sub(1, power1(step));
    const correction2 = tf.sub(1, power2(step));
    const rate = -valueAt(learningRate, step);
    const floor = epsilonOr(parsed.epsilon);
    return (grad, [first, second]) => {
      const m = tf.add(tf.mul(first, beta1), tf.mul(grad, 1 - beta1));
      const v = tf.add(tf.mul(second, beta2), tf.mul(tf.square(grad), 1 - beta2));
      const root = tf.add(rootOf(tf.div(v, correction2)), floor);
      return [tf.mul(tf.div(tf.div(m, correction1), root), rate), m, v];
    };
  });
  return withSettings({ ...transform, learningRate: rateOf(learningRate) }, parsed);
}

/** `tf.train.adamax`, to the bit: `tfjs.adamax({ learningRate: 0.01, decay: 0.001 })`. */
export function adamax(options: z.input<typeof adamaxOptions> = {}): GradientTransform {
  const parsed = parseOptions('tfjs.adamax', adamaxOptions, options);
  const { learningRate, beta1, beta2, decay } = parsed;
  const power1 = accumulatePower(beta1);
  const transform = perParameter('tfjs.adamax', ['m', 'v'], ({ step }) => {
    const slowed = tf.add(tf.mul(tf.scalar(step), decay), 1);
    const rate = tf.div(tf.div(-valueAt(learningRate, step), slowed), tf.sub(1, power1(step)));
    const floor = epsilonOr(parsed.epsilon);
    return (grad, [first, norm]) => {
      const m = tf.add(tf.mul(first, beta1), tf.mul(grad, 1 - beta1));
      const v = tf.maximum(tf.mul(norm, beta2), tf.abs(grad));
      return [tf.mul(rate, tf.div(m, tf.add(v, floor))), m, v];
    };
  });
  const learningRateAt = rateOf(learningRate);
  return withSettings(
    { ...transform, learningRate: (step) => learningRateAt(step) / (1 + decay * step) },
    parsed,
  );
}

/**
 * `tf.train.rmsprop`, to the bit: `tfjs.rmsprop({ learningRate: 0.001 })`. With `centered` tfjs
 * takes the root of `v − m² − epsilon`, which is NaN where gradients are near 0 (dead units, rows
 * of an embedding that a batch does not read); `rmsprop({ centered: true })` is free of that.
 */
export function rmsprop(options: z.input<typeof rmspropOptions>): GradientTransform {
  const parsed = parseOptions('tfjs.rmsprop', rmspropOptions, options);
  const { learningRate, decay, centered } = parsed;
  const slots = ['rms', 'momentum', ...(centered ? ['mg'] : [])];
  const transform = perParameter<readonly string[]>('tfjs.rmsprop', slots, ({ step }) => {
    const rate = valueAt(learningRate, step);
    const floor = epsilonOr(parsed.epsilon);
    const average = (before: tf.Tensor, now: tf.Tensor) =>
      tf.add(tf.mul(before, decay), tf.mul(now, 1 - decay));
    return (grad, [squares, moments, means]) => {
      const rms = average(squares!, tf.square(grad));
      const mean = means && average(means, grad);
      const variance = mean ? tf.sub(rms, tf.add(tf.square(mean), floor)) : tf.add(rms, floor);
      const scaled = tf.div(tf.mul(grad, rate), tf.sqrt(variance));
      const next = tf.add(tf.mul(moments!, parsed.momentum), scaled);
      return [tf.neg(next), rms, next, ...(mean ? [mean] : [])];
    };
  });
  return withSettings({ ...transform, learningRate: rateOf(learningRate) }, parsed);
}

/** `tf.train.adagrad`, to the bit: `tfjs.adagrad({ learningRate: 0.1 })`. */
export function adagrad(options: z.input<typeof adagradOptions>): GradientTransform {
  const parsed = parseOptions('tfjs.adagrad', adagradOptions, options);
  const initial = (param: tf.Tensor) => tf.fill(param.shape, parsed.initialAccumulatorValue);
  const prepare = ({ step }: { readonly step: number }) => {
    const rate = -valueAt(parsed.learningRate, step);
    const floor = epsilonOr();
    return (grad: tf.Tensor, [before]: readonly [tf.Tensor]) => {
      const sum = tf.add(before, tf.square(grad));
      return [tf.mul(tf.div(grad, tf.sqrt(tf.add(sum, floor))), rate), sum] as const;
    };
  };
  const transform = perParameter('tfjs.adagrad', ['accumulator'], prepare, initial);
  return withSettings({ ...transform, learningRate: rateOf(parsed.learningRate) }, parsed);
}

/** `tf.train.adadelta`, to the bit: `tfjs.adadelta({ learningRate: 1 })`. */
export function adadelta(options: z.input<typeof adadeltaOptions> = {}): GradientTransform {
  const parsed = parseOptions('tfjs.adadelta', adadeltaOptions, options);
  const { learningRate, rho } = parsed;
  const transform = perParameter('tfjs.adadelta', ['accum_grad', 'accum_var'], ({ step }) => {
    const rate = -valueAt(learningRate, step);
    const floor = epsilonOr(parsed.epsilon);
    const average = (before: tf.Tensor, now: tf.Tensor) =>
      tf.add(tf.mul(before, rho), tf.mul(tf.square(now), 1 - rho));
    const computeRoot = (value: tf.Tensor) => tf.sqrt(tf.add(value, floor));
    return (grad, [squares, moved]) => {
      // tfjs divides by the root of the old squares.
      const update = tf.mul(tf.div(computeRoot(moved), computeRoot(squares)), grad);
      return [tf.mul(update, rate), average(squares, grad), average(moved, update)];
    };
  });
  return withSettings({ ...transform, learningRate: rateOf(learningRate) }, parsed);
}

/** `base^(step + 1)` as tfjs has it: multiplied up step by step in 32 bits. */
function accumulatePower(base: number): (step: number) => number {
  const factor = Math.fround(base);
  let [at, power] = [0, factor];
  return (step) => {
    if (step < at) [at, power] = [0, factor];
    for (; at < step; at += 1) power = Math.fround(power * factor);
    return power;
  };
}

function epsilonOr(given?: number | null): number {
  return given ?? tf.backend().epsilon();
}
