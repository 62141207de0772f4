import { EspalierError, parseOptions } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { scaleUpdate } from './apply-updates.js';
import { withSettings } from './describe.js';
import { valueAt } from './schedules.js';
import { schedule } from './schemas.js';
import type {
  GradientTransform,
  GradientTransformInfo,
  OptimizerState,
  Schedule,
} from './transform.js';
import { noRate, perParameter } from './transform.js';

/**
 * An exponential moving average of the parameters, `a ← decay·a + (1 − decay)·(p + update)`, which starts at
 * their first values; {@link emaParams} reads it. Updates pass through, so it stands last in a chain.
 *
 * @param decay From 0 to 1, or a schedule.
 * @throws EspalierError `options/invalid`.
 * @example
 * chain(adam(), ema((step) => Math.min(0.999, (1 + step) / (10 + step))));
 */
export function ema(decay: Schedule, name = 'ema'): GradientTransform {
  const decayAt = parseOptions('ema', schedule, decay);
  const prepare = ({ step, updateScale = 1 }: GradientTransformInfo) => {
    const rate = tf.scalar(1 - valueAt(decayAt, step));
    return (update: tf.Tensor, [average]: readonly [tf.Tensor], param: tf.Tensor) => {
      const gap = tf.sub(tf.add(param, scaleUpdate(update, updateScale)), average);
      return [update, tf.add(average, tf.mul(gap, rate))] as const;
    };
  };
  const transform = perParameter(name, ['average'], prepare, tf.clone);
  return withSettings({ ...transform, learningRate: noRate }, { decay: decayAt });
}

/**
 * The averages in an optimizer's state by parameter path, of all groups together. The tensors still
 * belong to the state: clone what must outlive it.
 *
 * @throws EspalierError `optim/no-ema` if the state has no averages of that name.
 * @example
 * const averaged = emaParams(state); // { 'dense_1/kernel': …, … }
 */
export function emaParams(state: OptimizerState, name = 'ema'): NamedTensors {
  const found = Object.keys(state).filter((slot) => `/${slot}`.endsWith(`/${name}/average`));
  if (found.length > 0) return Object.assign({}, ...found.map((slot) => state[slot]));
  const problem = `emaParams: no slot '${name}/average'`;
  const fix = 'End the chain with ema(0.999).';
  throw new EspalierError('optim/no-ema', { problem, received: Object.keys(state), fix });
}
