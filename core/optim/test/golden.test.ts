import { readFileSync } from 'node:fs';
import type { Schedule, GradientTransform } from '@espalier/optim';
import {
  adam,
  adamw,
  byGroup,
  chain,
  clipByGlobalNorm,
  clipByNorm,
  clipByValue,
  cosineSchedule,
  joinSchedules,
  oneCycleSchedule,
  polynomialSchedule,
  rmsprop,
  sgd,
  stepSchedule,
  warmup,
} from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Values } from './support.js';
import { begin, mapValues, train } from './support.js';

type Numbers = Record<string, number[]>;
interface Golden {
  readonly steps: number;
  readonly shapes: Numbers;
  readonly params: Numbers;
  readonly gradients: Numbers[];
  readonly gaps: { path: string; steps: number[] };
  readonly optimizers: Record<string, Record<string, Numbers>>;
  readonly schedules: Numbers;
}
const golden = JSON.parse(
  readFileSync(new URL('./golden/optim.golden.json', import.meta.url), 'utf8'),
) as Golden;

const isKernel = (path: string) => path.endsWith('/kernel');
const OPTIMIZERS: Record<string, () => GradientTransform> = {
  sgd: () => sgd({ learningRate: 0.1 }),
  'sgd, weight decay': () => sgd({ learningRate: 0.1, weightDecay: 0.2 }),
  'sgd, momentum': () => sgd({ learningRate: 0.1, momentum: 0.9 }),
  'sgd, nesterov, weight decay': () =>
    sgd({ learningRate: 0.1, momentum: 0.8, nesterov: true, weightDecay: 0.2 }),
  'sgd, momentum, gaps': () => sgd({ learningRate: 0.1, momentum: 0.9 }),
  'sgd, nesterov, one cycle': () =>
    sgd({
      learningRate: oneCycleSchedule({ peak: 0.4, steps: golden.steps }),
      momentum: 0.9,
      nesterov: true,
    }),
  'sgd, two groups': () =>
    byGroup(
      { kernels: sgd({ learningRate: 0.01, momentum: 0.9 }), others: sgd({ learningRate: 0.1 }) },
      (path) => (isKernel(path) ? 'kernels' : 'others'),
    ),
  'sgd, clipped by value': () => chain(clipByValue(0.5), sgd({ learningRate: 0.1 })),
  'sgd, clipped by norm': () => chain(clipByNorm(0.7), sgd({ learningRate: 0.1 })),
  'sgd, clipped by global norm': () =>
    chain(clipByGlobalNorm(1.5), sgd({ learningRate: 0.1, momentum: 0.9 })),
  adam: () => adam({ learningRate: 0.01 }),
  'adam, other moments': () => adam({ learningRate: 0.02, b1: 0.7, b2: 0.95, eps: 1e-3 }),
  'adam, weight decay, cosine': () =>
    adam({
      learningRate: cosineSchedule({ initial: 0.05, steps: golden.steps, floor: 0.001 }),
      weightDecay: 0.3,
    }),
  adamw: () => adamw({ learningRate: 0.01 }),
  'adamw, steps': () =>
    adamw({
      learningRate: stepSchedule({ initial: 0.05, every: 7, gamma: 0.3 }),
      weightDecay: 0.5,
    }),
  'adamw, kernels': () => adamw({ learningRate: 0.01, weightDecay: 0.5, mask: isKernel }),
  rmsprop: () => rmsprop({ learningRate: 0.01 }),
  'rmsprop, momentum, weight decay': () =>
    rmsprop({ decay: 0.9, eps: 1e-3, momentum: 0.8, weightDecay: 0.1 }),
  'rmsprop, centered': () => rmsprop({ decay: 0.9, eps: 1e-2, centered: true }),
  'rmsprop, centered, momentum': () =>
    rmsprop({ decay: 0.8, eps: 0.1, centered: true, momentum: 0.9 }),
};

const SCHEDULES: Record<string, Exclude<Schedule, number>> = {
  step: stepSchedule({ initial: 0.1, every: 7, gamma: 0.3 }),
  'multi-step': stepSchedule({ initial: 0.1, milestones: [3, 4, 18], gamma: 0.5 }),
  cosine: cosineSchedule({ initial: 0.1, steps: 24, floor: 0.002 }),
  'one cycle': oneCycleSchedule({ peak: 0.4, steps: 25 }),
  'one cycle, other shape': oneCycleSchedule({
    peak: 0.4,
    steps: 25,
    rise: 0.45,
    div: 8,
    finalDiv: 50,
  }),
  polynomial: polynomialSchedule({ initial: 0.1, steps: 20, power: 2.5 }),
  'linear decay': polynomialSchedule({ initial: 0.1, steps: 20 }),
  'linear warm-up': warmup(9, 0.1, 0.2),
  'warm-up, cosine': warmup(6, cosineSchedule({ initial: 0.1, steps: 19, floor: 0.01 }), 0.25),
};

function valuesOf(numbers: Numbers): Values {
  return mapValues(numbers, (list, path) => ({
    shape: golden.shapes[path] ?? [],
    data: Float32Array.from(list),
  }));
}

function gradientsOf(name: string): Values[] {
  return golden.gradients.map((numbers, step) => {
    const grads = { ...numbers };
    if (name.endsWith('gaps') && golden.gaps.steps.includes(step)) delete grads[golden.gaps.path];
    return valuesOf(grads);
  });
}

it('covers every golden case', () => {
  expect(Object.keys(OPTIMIZERS).sort()).toEqual(Object.keys(golden.optimizers).sort());
  expect(Object.keys(SCHEDULES).sort()).toEqual(Object.keys(golden.schedules).sort());
});

describe.each(['cpu', 'wasm'])('optimizers agree with PyTorch on %s', (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it.each(Object.entries(OPTIMIZERS))('%s', (name, make) => {
    const transform = make();
    const gradients = gradientsOf(name);
    let state = begin(transform, valuesOf(golden.params));
    // PyTorch clips by maxNorm / (norm + 1e-6), which momentum then sums up; we add nothing.
    const tolerance = name.endsWith('norm') ? 4e-6 : 1e-6;
    let done = 0;
    for (const [at, expected] of Object.entries(golden.optimizers[name] ?? {})) {
      state = train(transform, state, gradients.slice(done, Number(at)), done);
      done = Number(at);
      for (const [path, list] of Object.entries(expected)) {
        list.forEach((value, i) => {
          const error = Math.abs((state.params[path]?.data[i] ?? NaN) - value);
          expect(error, `${path}[${i}] after ${at} steps`).toBeLessThan(
            tolerance * Math.max(1, Math.abs(value)),
          );
        });
      }
    }
    expect(done).toBe(golden.steps);
  });
});

describe('schedules agree with torch.optim.lr_scheduler', () => {
  it.each(Object.entries(SCHEDULES))('%s', (name, schedule) => {
    const expected = golden.schedules[name] ?? [];
    expect(expected).toHaveLength(golden.steps);
    expected.forEach((value, step) => {
      expect(Math.abs(schedule(step) - value), `step ${step}`).toBeLessThan(1e-8);
    });
  });

  it('joins in any number of pieces', () => {
    const pieces = joinSchedules([0.1, 0.05, 0.025, 0.0125], [3, 4, 18]);
    golden.schedules['multi-step']?.forEach((value, step) => {
      expect(pieces(step)).toBeCloseTo(value, 8);
    });
  });
});
