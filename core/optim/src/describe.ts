import type { GradientTransform, Schedule } from './transform.js';

const described = new WeakMap<object, unknown>();

/** Notes what a schedule was made from. */
export function noteSchedule<F extends (step: number) => number>(
  schedule: F,
  maker: string,
  options: object,
): F {
  described.set(schedule, { [maker]: describeOptions(options) });
  return schedule;
}

/** A transform with its settings: the options that it was made from. */
export function withSettings<T extends GradientTransform>(transform: T, options: object): T {
  return { ...transform, settings: describeOptions(options) };
}

/** Options as plain data; masks, and what is not given, are left out. */
function describeOptions(options: object): Readonly<Record<string, unknown>> {
  const known = Object.entries(options)
    .filter(([name]) => name !== 'mask')
    .map(([name, value]) => [name, describeValue(value)] as const);
  return Object.fromEntries(known.filter(([, value]) => value !== undefined && value !== null));
}

function describeValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(describeValue);
  return typeof value === 'function' ? describeSchedule(value as Exclude<Schedule, number>) : value;
}

/** How it was made, else its values at some steps; none of a function that does not go by the step. */
function describeSchedule(schedule: Exclude<Schedule, number>): unknown {
  if (described.has(schedule)) return described.get(schedule);
  if (schedule.length === 0) return undefined;
  return Object.fromEntries(SAMPLED.map((step) => [step, tryAt(schedule, step)]));
}

/** The first steps, then four in each octave. */
const SAMPLED: readonly number[] = [
  ...Array.from({ length: 8 }, (_, i) => i),
  ...Array.from({ length: 72 }, (_, i) => (4 + (i % 4)) * 2 ** (1 + Math.floor(i / 4))),
];

function tryAt(schedule: Exclude<Schedule, number>, step: number): unknown {
  try {
    const value = schedule(step);
    return typeof value === 'number' ? value : null;
  } catch {
    return null;
  }
}
