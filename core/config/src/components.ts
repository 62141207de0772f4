import {
  adam,
  adamw,
  binaryCrossEntropy,
  chain,
  clipByGlobalNorm,
  clipByNorm,
  clipByValue,
  cosineSchedule,
  crossEntropy,
  EspalierError,
  loadExport,
  meanSquaredError,
  oneCycleSchedule,
  polynomialSchedule,
  rmsprop,
  sgd,
  stepSchedule,
  suggest,
  tfjs,
  warmup,
} from '@espalier/core';
import type { Loss, Schedule, GradientTransform } from '@espalier/core';
import type { OptimizerReference, Reference } from './config.js';
import type { Modules } from './modules.js';

type Make<T> = (options: never) => T;

const LOSSES: Readonly<Record<string, Make<Loss>>> = {
  'cross-entropy': crossEntropy,
  'binary-cross-entropy': binaryCrossEntropy,
  'mean-squared-error': meanSquaredError,
};

/** With PyTorch's semantics, and as `tfjs.…` with those of TensorFlow.js. */
const OPTIMIZERS: Readonly<Record<string, Make<GradientTransform>>> = {
  sgd,
  adam,
  adamw,
  rmsprop,
  'tfjs.sgd': tfjs.sgd,
  'tfjs.momentum': tfjs.momentum,
  'tfjs.adam': tfjs.adam,
  'tfjs.adamax': tfjs.adamax,
  'tfjs.rmsprop': tfjs.rmsprop,
  'tfjs.adagrad': tfjs.adagrad,
  'tfjs.adadelta': tfjs.adadelta,
};

const SCHEDULES: Readonly<Record<string, Make<Schedule>>> = {
  step: stepSchedule,
  cosine: cosineSchedule,
  polynomial: polynomialSchedule,
  'one-cycle': oneCycleSchedule,
  warmup: ({ steps, then, from }: { steps: number; then: Schedule; from?: number }) =>
    warmup(steps, then, from),
};

/** A loss by name: built in, or from a module. */
export function makeLoss(reference: Reference, modules: Modules): Promise<Loss> {
  return makeNamed('loss', LOSSES, reference, modules);
}

/** An optimizer by name, with schedules as data, behind gradient clipping if there is any. */
export async function makeOptimizer(
  { use, options, clip = {} }: OptimizerReference,
  modules: Modules,
): Promise<GradientTransform> {
  const read = makeSchedules(options) as Reference['options'];
  const optimizer = await makeNamed('optimizer', OPTIMIZERS, { use, options: read }, modules);
  const clips = [
    ...(clip.value === undefined ? [] : [clipByValue(clip.value)]),
    ...(clip.norm === undefined ? [] : [clipByNorm(clip.norm)]),
    ...(clip.globalNorm === undefined ? [] : [clipByGlobalNorm(clip.globalNorm)]),
  ];
  return clips.length > 0 ? chain(...clips, optimizer) : optimizer;
}

async function makeNamed<T>(
  field: string,
  builtIn: Readonly<Record<string, Make<T>>>,
  { use, options }: Reference,
  { load }: Modules,
): Promise<T> {
  if (Object.hasOwn(builtIn, use)) return builtIn[use]!(options as never);
  if (!/[#/]|\.[cm]?[jt]sx?$/.test(use)) {
    throw new EspalierError('config/unknown-name', {
      problem: `there is no built-in ${field} '${use}'`,
      fix: `${suggest(use, Object.keys(builtIn))} One of your own: './file.js#export'.`,
    });
  }
  const found = await loadExport(use, { load });
  return typeof found === 'function' ? (found as Make<T>)(options as never) : (found as T);
}

/** Replaces every `{ schedule: name, … }`, at any depth, by the schedule. */
function makeSchedules(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(makeSchedules);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, makeSchedules(inner)] as const);
  const { schedule, ...options } = Object.fromEntries(entries);
  if (schedule === undefined) return options;
  if (typeof schedule === 'string' && Object.hasOwn(SCHEDULES, schedule)) {
    return SCHEDULES[schedule]!(options as never);
  }
  throw new EspalierError('config/unknown-name', {
    problem: `there is no schedule '${String(schedule)}'`,
    fix: suggest(String(schedule), Object.keys(SCHEDULES)),
  });
}
