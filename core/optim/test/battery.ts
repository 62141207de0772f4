import type { GradientTransform } from '@espalier/optim';
import {
  adam,
  adamw,
  byGroup,
  chain,
  clipByGlobalNorm,
  clipByNorm,
  clipByValue,
  cosineSchedule,
  decayWeights,
  ema,
  restrict,
  withName,
  oneCycleSchedule,
  rmsprop,
  scale,
  scaleByAdam,
  scaleByLearningRate,
  scaleByRms,
  sgd,
  stepSchedule,
  tfjs,
  trace,
  warmup,
} from '@espalier/optim';
import { numbers, values } from './support.js';

export const SHAPES = { 'a/kernel': [3, 4], 'a/bias': [4], 'b/kernel': [2, 2, 3], 'b/gain': [] };
const random = numbers(3);
export const PARAMS = values(SHAPES, random);
export const GRADIENTS = Array.from({ length: 20 }, () => values(SHAPES, random));

const inA = (path: string) => path.startsWith('a/');

/** Every transform and optimizer, for tests that must hold for all of them. */
export const EVERY: Record<string, () => GradientTransform> = {
  scale: () => scale((step) => 1 / (1 + step)),
  scaleByLearningRate: () => scaleByLearningRate(cosineSchedule({ initial: 0.1, steps: 20 })),
  decayWeights: () => decayWeights(0.1),
  'decayWeights, masked': () => decayWeights(0.1, { mask: inA }),
  clipByValue: () => clipByValue(0.3),
  clipByNorm: () => clipByNorm(0.5),
  clipByGlobalNorm: () => clipByGlobalNorm(0.5),
  trace: () => trace({ momentum: 0.9 }),
  'trace, nesterov': () => trace({ momentum: 0.9, nesterov: true }),
  scaleByAdam: () => scaleByAdam(),
  scaleByRms: () => scaleByRms(),
  'scaleByRms, centered': () => scaleByRms({ centered: true, eps: 0.1 }),
  ema: () => ema(0.9),
  named: () => withName('x', trace({ momentum: 0.9 })),
  masked: () => restrict(scaleByAdam(), inA),
  byGroup: () =>
    byGroup({ a: adam(), b: sgd({ learningRate: 0.1, momentum: 0.5 }) }, (path) =>
      inA(path) ? 'a' : 'b',
    ),
  sgd: () => sgd({ learningRate: oneCycleSchedule({ peak: 0.1, steps: 20 }), momentum: 0.9 }),
  adam: () => adam({ weightDecay: 0.01 }),
  adamw: () => adamw({ mask: inA }),
  rmsprop: () => rmsprop({ momentum: 0.9 }),
  'tfjs.sgd': () =>
    tfjs.sgd({ learningRate: stepSchedule({ initial: 0.1, gamma: 0.5, every: 3 }) }),
  'tfjs.momentum': () => tfjs.momentum({ learningRate: 0.1, momentum: 0.9, useNesterov: true }),
  'tfjs.adam': () => tfjs.adam(),
  'tfjs.adamax': () => tfjs.adamax({ decay: 0.1 }),
  'tfjs.rmsprop': () => tfjs.rmsprop({ learningRate: 0.01, momentum: 0.5 }),
  'tfjs.rmsprop, centered': () =>
    tfjs.rmsprop({ learningRate: 0.01, centered: true, epsilon: 1e-5 }),
  'tfjs.adagrad': () => tfjs.adagrad({ learningRate: 0.1 }),
  'tfjs.adadelta': () => tfjs.adadelta(),
  everything: () =>
    chain(
      clipByGlobalNorm(1),
      chain(adamw({ learningRate: warmup(4, 0.01) }), clipByValue(0.02)),
      ema((step) => Math.min(0.9, (1 + step) / (10 + step))),
      ema(0.5, 'fast'),
    ),
};
