import { EspalierError, parseOptions } from '@espalier/base';
import { z } from 'zod';
import { noteSchedule } from './describe.js';
import { count, nonNegative, positive } from './schemas.js';
import type { Schedule } from './transform.js';

// Pure functions of the optimizer step, from 0; past their end they keep their last value.

const decay = z.strictObject({ initial: positive, steps: count, floor: nonNegative.default(0) });
const polynomial = decay.extend({ power: positive.default(1) });
const stepwise = z.strictObject({
  initial: positive,
  gamma: positive,
  every: count.optional(),
  milestones: z.array(count).default([]),
});
const oneCycle = z.strictObject({
  peak: positive,
  steps: z.int().min(2),
  rise: positive.lt(1).default(0.3), // share of the steps before the peak
  div: positive.default(25), // peak / first rate
  finalDiv: positive.default(1e4), // first rate / last rate
});

/**
 * Multiplies by `gamma` at every `every`-th step, or at the steps `milestones`.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * stepSchedule({ initial: 0.1, gamma: 0.5, every: 10 })(20); // 0.025
 */
export function stepSchedule(options: z.input<typeof stepwise>) {
  const parsed = parseOptions('stepSchedule', stepwise, options);
  const { initial, gamma, every, milestones } = parsed;
  const schedule = (step: number): number => {
    const passed = milestones.filter((milestone) => milestone <= step).length;
    return initial * gamma ** (passed + (every ? Math.floor(step / every) : 0));
  };
  return noteSchedule(schedule, 'stepSchedule', parsed);
}

/**
 * Half a cosine from `initial` down to `floor`, over `steps` steps (Loshchilov & Hutter, SGDR, ICLR 2017,
 * without restarts).
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * adam({ learningRate: cosineSchedule({ initial: 1e-3, steps: 1000 }) });
 */
export function cosineSchedule(options: z.input<typeof decay>) {
  const parsed = parseOptions('cosineSchedule', decay, options);
  const { initial, steps, floor } = parsed;
  const schedule = (step: number): number => cosine(initial, floor, step / steps);
  return noteSchedule(schedule, 'cosineSchedule', parsed);
}

/**
 * `floor + (initial − floor)·(1 − step/steps)^power`; linear with power 1, the default.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * polynomialSchedule({ initial: 0.1, steps: 1000, power: 2 })(500); // 0.025
 */
export function polynomialSchedule(options: z.input<typeof polynomial>) {
  const parsed = parseOptions('polynomialSchedule', polynomial, options);
  const { initial, steps, floor, power } = parsed;
  const schedule = (step: number): number =>
    floor + (initial - floor) * (1 - Math.min(step / steps, 1)) ** power;
  return noteSchedule(schedule, 'polynomialSchedule', parsed);
}

/**
 * A cosine from `peak/div` up to `peak`, then down to `peak/div/finalDiv` (Smith & Topin,
 * "Super-Convergence", 2019, as PyTorch's OneCycleLR).
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * sgd({ learningRate: oneCycleSchedule({ peak: 0.4, steps: 5000 }) });
 */
export function oneCycleSchedule(options: z.input<typeof oneCycle>) {
  const parsed = parseOptions('oneCycleSchedule', oneCycle, options);
  const { peak, steps, rise, div, finalDiv } = parsed;
  const top = Math.max(rise * steps - 1, 0);
  const last = steps - 1 - top;
  const schedule = (step: number): number =>
    step < top
      ? cosine(peak / div, peak, step / top)
      : cosine(peak, peak / div / finalDiv, (step - top) / last);
  return noteSchedule(schedule, 'oneCycleSchedule', parsed);
}

/**
 * Linear from `from` × the schedule's first value up to that value, over `steps` steps; then the schedule
 * starts, at its step 0. By default `from` is 1/steps, so that no step has a rate of 0.
 *
 * @throws EspalierError `options/invalid`.
 * @example
 * warmup(500, cosineSchedule({ initial: 0.1, steps: 9500 }));
 */
export function warmup(steps: number, schedule: Schedule, from = 1 / steps) {
  parseOptions('warmup', z.strictObject({ steps: count, from: nonNegative }), { steps, from });
  const ramp = (step: number) => valueAt(schedule, 0) * (from + ((1 - from) * step) / steps);
  return noteSchedule(joinSchedules([ramp, schedule], [steps]), 'warmup', {
    steps,
    schedule,
    from,
  });
}

/**
 * One schedule after another: at each boundary (a step) the next one starts, at its step 0.
 *
 * @throws EspalierError `optim/bad-boundaries`: they must rise, one fewer than the schedules.
 * @example
 * joinSchedules([0.1, 0.01], [1000]); // 0.1 up to step 999, then 0.01
 */
export function joinSchedules(schedules: readonly Schedule[], boundaries: readonly number[]) {
  const rising = boundaries.every((boundary, i) => boundary > (boundaries[i - 1] ?? 0));
  if (!rising || boundaries.length !== schedules.length - 1) {
    const problem = 'joinSchedules: boundaries must rise from above 0, one fewer than schedules';
    throw new EspalierError('optim/bad-boundaries', { problem, received: boundaries });
  }
  const joined = (step: number): number => {
    const i = boundaries.filter((boundary) => boundary <= step).length;
    return valueAt(schedules[i] ?? NaN, step - (boundaries[i - 1] ?? 0));
  };
  return noteSchedule(joined, 'joinSchedules', { schedules, boundaries });
}

/**
 * A schedule's value at a step.
 *
 * @throws EspalierError `optim/bad-schedule` where the schedule gives no finite number.
 * @example
 * valueAt((step) => 0.1 / (1 + step), 1); // 0.05
 */
export function valueAt(schedule: Schedule, step: number): number {
  const value = typeof schedule === 'function' ? schedule(step) : schedule;
  if (Number.isFinite(value)) return value;
  const problem = `a schedule must give a finite number; at step ${step} it did not`;
  throw new EspalierError('optim/bad-schedule', { problem, received: value });
}

function cosine(from: number, to: number, progress: number): number {
  return to + ((from - to) * (1 + Math.cos(Math.PI * Math.min(progress, 1)))) / 2;
}
