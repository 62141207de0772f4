import { parseOptions } from '@espalier/base';
import { z } from 'zod';
import { chain } from './chain.js';
import { withSettings } from './describe.js';
import { adamScaling, rmsScaling, scaleByAdam, scaleByRms, trace } from './moments.js';
import { decayWeights, descent, scaleByLearningRate } from './scale.js';
import * as is from './schemas.js';
import type { GradientTransform } from './transform.js';

// PyTorch's semantics and defaults. weightDecay is an L2 penalty, in adamw alone it is decoupled.
// Errors say whose the options are, since tfjs has optimizers of the same names.

const momentum = is.fraction.default(0);
const weightDecay = is.nonNegative.default(0);
const learningRate = is.learningRate.default(1e-3);

const sgdOptions = z
  .strictObject({
    learningRate: is.learningRate,
    momentum,
    nesterov: z.boolean().optional(),
    weightDecay,
  })
  .refine((o) => !o.nesterov || o.momentum > 0, 'nesterov needs momentum, e.g. 0.9');
const adamOptions = adamScaling.omit({ factor: true }).extend({ learningRate, weightDecay });
const adamwOptions = adamOptions.extend({
  weightDecay: is.nonNegative.default(0.01),
  mask: is.mask.optional(),
});
const rmspropOptions = rmsScaling.extend({
  learningRate: is.learningRate.default(0.01),
  momentum,
  weightDecay,
});

/**
 * Stochastic gradient descent as in PyTorch; as in tfjs it is `tfjs.sgd` and `tfjs.momentum`.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true });
 */
export function sgd(options: z.input<typeof sgdOptions>): GradientTransform {
  const parsed = parseOptions("sgd (PyTorch's; there is tfjs.sgd too)", sgdOptions, options);
  const { learningRate, momentum, nesterov, weightDecay } = parsed;
  return nameChain(
    'sgd',
    parsed,
    ...l2(weightDecay),
    ...(momentum > 0 ? [trace({ momentum, nesterov })] : []),
    scaleByLearningRate(learningRate),
  );
}

/**
 * Adam (Kingma & Ba, ICLR 2015) as in PyTorch; as in tfjs it is `tfjs.adam`.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * adam({ learningRate: 3e-4 });
 */
export function adam(options: z.input<typeof adamOptions> = {}): GradientTransform {
  const parsed = parseOptions("adam (PyTorch's; there is tfjs.adam too)", adamOptions, options);
  const { learningRate, weightDecay, ...scaling } = parsed;
  const factor = descent(learningRate);
  return nameChain('adam', parsed, ...l2(weightDecay), scaleByAdam({ ...scaling, factor }));
}

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019) as in PyTorch.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * adamw({ learningRate: 3e-4, weightDecay: 0.1 });
 */
export function adamw(options: z.input<typeof adamwOptions> = {}): GradientTransform {
  const parsed = parseOptions('adamw', adamwOptions, options);
  const { learningRate, weightDecay, mask, ...scaling } = parsed;
  const factor = descent(learningRate);
  const decay = decayWeights(weightDecay, { mask, factor });
  return nameChain('adamw', parsed, scaleByAdam({ ...scaling, factor }), decay);
}

/**
 * RMSProp (Tieleman & Hinton, 2012) as in PyTorch, with decay 0.99; as in tfjs, with decay 0.9, it is
 * `tfjs.rmsprop`.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * rmsprop({ momentum: 0.9, centered: true });
 */
export function rmsprop(options: z.input<typeof rmspropOptions> = {}): GradientTransform {
  const parsed = parseOptions(
    "rmsprop (PyTorch's; there is tfjs.rmsprop too)",
    rmspropOptions,
    options,
  );
  const { learningRate, momentum, weightDecay, ...scaling } = parsed;
  return nameChain(
    'rmsprop',
    parsed,
    ...l2(weightDecay),
    scaleByRms(scaling),
    ...(momentum > 0 ? [trace({ momentum })] : []),
    scaleByLearningRate(learningRate),
  );
}

/** A chain under the name and with the options that people know, for `inspect()` and mismatches. */
function nameChain(
  name: string,
  options: object,
  ...transforms: readonly GradientTransform[]
): GradientTransform {
  return withSettings({ ...chain(...transforms), name }, options);
}

function l2(weightDecay: number): readonly GradientTransform[] {
  return weightDecay > 0 ? [decayWeights(weightDecay)] : [];
}
