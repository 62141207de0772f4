import { EspalierError, keyedRng, parseOptions } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { finiteDifference } from './estimators/finite-difference.js';
import { firstOrder } from './estimators/first-order.js';
import { jvp } from './estimators/jvp.js';
import { outerAfterSteps, unroll } from './estimators/unroll.js';
import type { BilevelProblem, Estimator } from './problem.js';
import { table } from './table.js';
import { dot, mapTensors } from './tensor-math.js';

/** The estimators of this package by name. */
export const ESTIMATORS = {
  'first-order': firstOrder,
  'finite-difference': finiteDifference,
  jvp,
  unroll,
} as const satisfies Readonly<Record<string, Estimator>>;

export interface VerifyOptions {
  /** What to check; default: all of this package. */
  readonly estimators?: Readonly<Record<string, Estimator>>;
  /** Random directions in φ; default 48. Where φ has no more numbers than that: each one. */
  readonly directions?: number;
  /** Length of the step in φ; default 0.05. The differences are of fourth order. */
  readonly step?: number;
  /** Of the directions; default 0. */
  readonly seed?: number;
  /** Timed runs, of which the median counts; default 5. */
  readonly runs?: number;
}

const verifyOptions = z.strictObject({
  estimators: z
    .record(
      z.string(),
      z.custom<Estimator>((value) => typeof value === 'function', 'must be an estimator'),
    )
    .default(ESTIMATORS),
  directions: z.int().positive().default(48),
  step: z.number().positive().default(0.05),
  seed: z.int().default(0),
  runs: z.int().positive().default(5),
});

/** How one estimator did. */
export interface VerifiedEstimator {
  readonly estimator: string;
  /** Of its derivatives and those by brute force, over all directions; 1 is perfect, 0 also: it found none. */
  readonly cosine: number;
  /** Length of their difference over that of the brute force's; 0 is perfect. */
  readonly relativeError: number;
  readonly milliseconds: number;
  /** The most tensors that lived at once, beyond those before. */
  readonly peakTensors: number;
  /** The most bytes that they took. */
  readonly peakBytes: number;
}

/** What {@link verify} found; `text` is a table of it. */
export interface Verification {
  readonly results: readonly VerifiedEstimator[];
  /** Estimators that do not apply to this problem, and why. */
  readonly failed: Readonly<Record<string, string>>;
  readonly text: string;
}

/**
 * Runs estimators on a problem of one's own against brute-force finite differences of the outer loss
 * after the inner steps, along random directions in φ. The problem must be deterministic.
 *
 * @throws EspalierError `bilevel/no-gradient` where brute force finds none; `bilevel/not-finite`,
 * `bilevel/not-repeatable`; `options/invalid`.
 * @example
 * const { text } = await verify(problem);
 * console.log(text);
 */
export async function verify(
  problem: BilevelProblem,
  options: VerifyOptions = {},
): Promise<Verification> {
  const parsed = parseOptions('verify', verifyOptions, options);
  const { estimators, directions, step, seed, runs } = parsed;
  await checkRepeatable(problem);
  const results: VerifiedEstimator[] = [];
  const failed: Record<string, string> = {};
  const along = directionsIn(problem.phi, directions, seed);
  try {
    const expected: number[] = [];
    for (const each of along) expected.push(await derivative(problem, each, step));
    if (expected.every((each) => each === 0)) throw flat();
    for (const [name, estimate] of Object.entries(estimators)) {
      try {
        const found = await projectEstimate(problem, estimate, along);
        const cost = await measureCost(() => estimate(problem), runs);
        results.push({ estimator: name, ...agreement(found, expected), ...cost });
      } catch (error) {
        failed[name] = error instanceof Error ? error.message : String(error);
      }
    }
  } finally {
    along.forEach((each) => tf.dispose(each));
  }
  return { results, failed, text: table(results, failed) };
}

function flat(): EspalierError {
  return new EspalierError('bilevel/no-gradient', {
    problem: 'by brute force the outer loss does not change with the outer variables',
    fix: "Check that the inner loss uses them. The first step of Adam and its like has the gradient's sign only: use sgd as the inner optimizer.",
  });
}

/** How much the outer loss of one problem may differ between two evaluations, of its size. */
const ROUNDING = 1e-5;

async function checkRepeatable(problem: BilevelProblem): Promise<void> {
  const [a, b] = [await outerLoss(problem), await outerLoss(problem)];
  if (!Number.isFinite(a + b)) {
    throw new EspalierError('bilevel/not-finite', {
      problem: 'the outer loss after the inner steps is not finite',
      received: a,
      fix: 'Lower the rate of the inner optimizer, or look at the losses at the start.',
    });
  }
  if (Math.abs(a - b) <= ROUNDING * (Math.abs(a) + Math.abs(b))) return;
  throw new EspalierError('bilevel/not-repeatable', {
    problem: 'two evaluations of the outer loss at the same variables differ',
    received: [a, b],
    fix: 'Draw what is random once, outside of inner and outer, or from a stream made anew in each call.',
  });
}

async function outerLoss(problem: BilevelProblem): Promise<number> {
  const value = tf.tidy(() => outerAfterSteps(problem));
  const [number] = await value.data();
  value.dispose();
  return number!;
}

/** Orthonormal coordinates, or random directions of length 1. */
function directionsIn(phi: NamedTensors, most: number, seed: number): NamedTensors[] {
  const size = Object.values(phi).reduce((sum, { size }) => sum + size, 0);
  if (size <= most)
    return Array.from({ length: size }, (_, i) => direction(phi, (j) => +(i === j)));
  const draw = keyedRng(seed, 'bilevel', 'verify');
  return Array.from({ length: most }, () => {
    const values = Array.from({ length: size }, () => gaussian(draw));
    const norm = Math.hypot(...values);
    return direction(phi, (i) => values[i]! / norm);
  });
}

function direction(phi: NamedTensors, value: (i: number) => number): NamedTensors {
  let i = 0;
  return mapTensors(phi, ({ size, shape }) =>
    tf.tensor(
      Float32Array.from({ length: size }, () => value(i++)),
      shape,
    ),
  );
}

/** Box and Muller 1958. */
function gaussian(draw: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

/** Five-point difference of the outer loss along a direction in φ. */
async function derivative(problem: BilevelProblem, along: NamedTensors, step: number) {
  const at = async (distance: number) => {
    const phi = tf.tidy(() =>
      mapTensors(problem.phi, (each, name) => tf.add(each, tf.mul(along[name]!, distance))),
    );
    try {
      return await outerLoss({ ...problem, phi });
    } finally {
      tf.dispose(phi);
    }
  };
  const near = (await at(step)) - (await at(-step));
  const far = (await at(2 * step)) - (await at(-2 * step));
  return (8 * near - far) / (12 * step);
}

async function projectEstimate(
  problem: BilevelProblem,
  estimate: Estimator,
  along: readonly NamedTensors[],
): Promise<number[]> {
  const { gradients, outer } = estimate(problem);
  const dots = tf.tidy(() => tf.stack(along.map((each) => dot(gradients, each))));
  const found = Array.from(await dots.data());
  tf.dispose([outer, dots, ...Object.values(gradients)]);
  return found;
}

function agreement(found: readonly number[], expected: readonly number[]) {
  const product = found.reduce((sum, each, i) => sum + each * expected[i]!, 0);
  const gap = Math.hypot(...found.map((each, i) => each - expected[i]!));
  const [a, b] = [Math.hypot(...found), Math.hypot(...expected)];
  return { cosine: a > 0 ? product / (a * b) : 0, relativeError: gap / b };
}

async function measureCost(run: () => ReturnType<Estimator>, runs: number) {
  const times: number[] = [];
  for (let i = 0; i < runs; i += 1) {
    const start = performance.now();
    const { outer, gradients } = run();
    await outer.data();
    times.push(performance.now() - start);
    tf.dispose([outer, ...Object.values(gradients)]);
  }
  const before = tf.memory();
  const { kernels, result } = await tf.profile(() => {
    const { outer, gradients } = run();
    tf.dispose(Object.values(gradients));
    return outer;
  });
  tf.dispose(result);
  const most = (key: 'totalBytesSnapshot' | 'totalTensorsSnapshot') =>
    kernels.reduce((peak, kernel) => Math.max(peak, kernel[key]), 0);
  return {
    milliseconds: times.sort((a, b) => a - b)[Math.floor(runs / 2)]!,
    peakTensors: most('totalTensorsSnapshot') - before.numTensors,
    peakBytes: most('totalBytesSnapshot') - before.numBytes,
  };
}
