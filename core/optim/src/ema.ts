import { EspalierError, parseOptions } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { valueAt } from './schedules.js';
import { schedule } from './schemas.js';
import type { GradientTransform, Schedule, OptimizerState, Tensors } from './transform.js';
import { perParameter } from './transform.js';

/**
 * Averages the parameters, `a ← decay·a + (1 − decay)·(p + update)`, from their first values on;
 * updates pass through. Goes last: `chain(adam(), ema((t) => Math.min(0.999, (1 + t) / (10 + t))))`.
 */
export function ema(decay: Schedule, name = 'ema'): GradientTransform {
  const decayAt = parseOptions('ema', schedule, decay);
  const prepare = ({ step }: { readonly step: number }) => {
    const rate = tf.scalar(1 - valueAt(decayAt, step));
    return (update: tf.Tensor, [average]: readonly [tf.Tensor], param: tf.Tensor) => {
      const gap = tf.sub(tf.add(param, update), average);
      return [update, tf.add(average, tf.mul(gap, rate))] as const;
    };
  };
  return perParameter(name, ['average'], prepare, tf.clone);
}

/**
 * The averages in `slots` by path, of all groups together; the tensors stay the slots' own.
 *
 * @throws EspalierError `optim/no-ema` if there are none.
 */
export function emaParams(slots: OptimizerState, name = 'ema'): Tensors {
  const found = Object.keys(slots).filter((slot) => `/${slot}`.endsWith(`/${name}/average`));
  if (found.length > 0) return Object.assign({}, ...found.map((slot) => slots[slot]));
  const problem = `emaParams: no slot '${name}/average'`;
  const fix = 'End the chain with ema(0.999).';
  throw new EspalierError('optim/no-ema', { problem, received: Object.keys(slots), fix });
}
