import { parseOptions } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { restrict } from './chain.js';
import { withSettings } from './describe.js';
import { valueAt } from './schedules.js';
import * as is from './schemas.js';
import type { Schedule, GradientTransform } from './transform.js';
import { noRate, perParameter, rateOf } from './transform.js';

/**
 * Multiplies by a number, or by a schedule's value at the step.
 *
 * @throws EspalierError `options/invalid`; at a step, `optim/bad-schedule`.
 * @example
 * chain(fromTfOptimizer(() => tf.train.sgd(1)), scale(cosineSchedule({ initial: 0.1, steps: 1000 })));
 */
export function scale(factor: Schedule, name = 'scale'): GradientTransform {
  const by = parseOptions(name, is.schedule, factor);
  const transform = perParameter(name, [], ({ step }) => {
    const scalar = tf.scalar(valueAt(by, step));
    return (grad) => [tf.mul(grad, scalar)];
  });
  return withSettings({ ...transform, learningRate: rateOf(by) }, { factor: by });
}

/**
 * Multiplies by minus the learning rate, which makes a descent direction an update.
 *
 * @throws EspalierError `options/invalid`; at a step, `optim/bad-schedule`.
 * @example
 * chain(trace({ momentum: 0.9 }), scaleByLearningRate(0.1));
 */
export function scaleByLearningRate(learningRate: Schedule): GradientTransform {
  const rate = parseOptions('learningRate', is.learningRate, learningRate);
  return withSettings(scale(descent(rate), 'learningRate'), { rate });
}

/** Minus the learning rate, as a schedule. */
export function descent(learningRate: Schedule): Schedule {
  return (step) => -valueAt(learningRate, step);
}

const decayOptions = z.strictObject({
  mask: is.mask.optional(), // which paths decay
  factor: is.schedule.default(1), // multiplied in; adamw passes minus the learning rate
});

/**
 * Adds `weightDecay × parameter`: decoupled weight decay (Loshchilov & Hutter, ICLR 2019) after the
 * moments, an L2 penalty before them.
 *
 * @example
 * const mask = (path: string) => path.endsWith('/kernel');
 * chain(scaleByAdam(), decayWeights(0.01, { mask }), scaleByLearningRate(1e-3));
 */
export function decayWeights(
  weightDecay: number,
  options: z.input<typeof decayOptions> = {},
): GradientTransform {
  const decay = parseOptions('decayWeights', is.nonNegative, weightDecay);
  const { mask, factor } = parseOptions('decayWeights', decayOptions, options);
  const adding = perParameter('decayWeights', [], ({ step }) => {
    const by = tf.scalar(decay * valueAt(factor, step));
    return (grad, _state, param) => [tf.add(grad, tf.mul(param, by))];
  });
  const transform = withSettings({ ...adding, learningRate: noRate }, { weightDecay, factor });
  return mask ? restrict(transform, mask) : transform;
}
