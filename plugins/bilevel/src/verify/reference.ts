import { EspalierError } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { BilevelProblem, Estimator, Hypergradient } from '../problem.js';
import { dot } from '../tensor-math.js';
import { differences } from './brute-force.js';
import type { Derivative } from './brute-force.js';
import { directionsIn } from './directions.js';

/** What {@link verify} compared with. */
export interface VerifyReference {
  readonly kind: 'differences' | 'estimator';
  /**
   * Twice the reference's own error, as estimated, over its length: an estimator whose `relativeError` is not above
   * it may be exact. `undefined` of an estimator, whose error is not known.
   */
  readonly uncertainty: number | undefined;
  /** Length of the step in φ, given or chosen. */
  readonly step?: number;
  /** Numbers that were compared: directions, or those of φ. */
  readonly compared: number;
  /** Directions left out because the reference is much less certain there (kinks, values not finite). */
  readonly skipped: number;
}

/** Numbers to compare those of a hypergradient with. */
export interface Reference {
  readonly description: VerifyReference;
  readonly expected: readonly number[];
  readonly project: (gradients: NamedTensors) => Promise<readonly number[]>;
  readonly dispose: () => void;
}

/** How brute force goes about it. */
export interface DifferencesOptions {
  readonly directions: number;
  readonly step?: number | undefined;
  readonly seed: number;
}

/**
 * Brute force along directions.
 *
 * @throws EspalierError `bilevel/no-gradient`, `bilevel/not-finite`.
 */
export async function referToDifferences(
  problem: BilevelProblem,
  { directions, step: given, seed }: DifferencesOptions,
): Promise<Reference> {
  const along = directionsIn(problem.phi, directions, seed);
  const dispose = () => along.forEach((each) => tf.dispose(each));
  try {
    const { step, derivatives } = await differences(problem, along, given);
    const used = selectCertain(derivatives);
    const kept = used.map((i) => along[i]!);
    const expected = used.map((i) => derivatives[i]!.value);
    if (expected.every((each) => each === 0)) throw flat();
    const errors = used.map((i) => derivatives[i]!.error);
    const uncertainty = (2 * Math.hypot(...errors)) / Math.hypot(...expected);
    const [compared, skipped] = [used.length, along.length - used.length];
    const description = { kind: 'differences', uncertainty, step, compared, skipped } as const;
    return { description, expected, project: (found) => project(found, kept), dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Another estimator, number by number. */
export async function referToEstimator(
  problem: BilevelProblem,
  estimate: Estimator,
): Promise<Reference> {
  const read = (gradients: NamedTensors) => readAll(gradients, problem.phi);
  const found = estimate(problem);
  const expected = await read(found.gradients);
  disposeFound(found);
  if (expected.every((each) => each === 0)) throw flat();
  const compared = expected.length;
  const description = { kind: 'estimator', uncertainty: undefined, compared, skipped: 0 } as const;
  return { description, expected, project: read, dispose: () => undefined };
}

export function disposeFound({ outer, gradients }: Hypergradient): void {
  tf.dispose([outer, ...Object.values(gradients)]);
}

/** An error that stands out so far from the others, and is so much of the derivatives' size, is a kink's. */
const KINK = { overMedian: 5, ofSize: 0.01 };

/** Which derivatives to compare with, judged by the reference alone. */
function selectCertain(derivatives: readonly Derivative[]): readonly number[] {
  const finite = [...derivatives.keys()].filter((i) => Number.isFinite(derivatives[i]!.error));
  if (finite.length === 0) throw notFinite();
  const errors = finite.map((i) => derivatives[i]!.error).sort((a, b) => a - b);
  const median = errors[Math.floor((errors.length - 1) / 2)]!;
  const size = Math.hypot(...finite.map((i) => derivatives[i]!.value)) / Math.sqrt(finite.length);
  const most = Math.max(KINK.overMedian * median, KINK.ofSize * size);
  return finite.filter((i) => derivatives[i]!.error <= most);
}

async function project(
  gradients: NamedTensors,
  along: readonly NamedTensors[],
): Promise<readonly number[]> {
  const dots = tf.tidy(() => tf.stack(along.map((each) => dot(gradients, each))));
  const found = Array.from(await dots.data());
  dots.dispose();
  return found;
}

/** All numbers of a gradient in the order of φ; zeros where it lacks a name. */
async function readAll(gradients: NamedTensors, phi: NamedTensors): Promise<readonly number[]> {
  const all = tf.tidy(() =>
    tf.concat1d(
      Object.entries(phi).map(([name, each]) =>
        tf.reshape(gradients[name] ?? tf.zerosLike(each), [-1]),
      ) as tf.Tensor1D[],
    ),
  );
  const numbers = Array.from(await all.data());
  all.dispose();
  return numbers;
}

function flat(): EspalierError {
  return new EspalierError('bilevel/no-gradient', {
    problem: 'by the reference the outer loss does not change with the outer variables',
    fix: "Check that the inner loss uses them. The first step of Adam and its like has the gradient's sign only: use sgd as the inner optimizer.",
  });
}

function notFinite(): EspalierError {
  return new EspalierError('bilevel/not-finite', {
    problem:
      'the outer loss is not finite a step away from the outer variables, in every direction',
    fix: 'Give a smaller step.',
  });
}
