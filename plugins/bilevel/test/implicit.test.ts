import { createSession, crossEntropy, sgd } from '@espalier/core';
import {
  bilevel,
  conjugateGradient,
  finiteDifference,
  neumann,
  unroll,
  verify,
} from '@espalier/plugin-bilevel';
import type { BilevelProblem, Estimator } from '@espalier/plugin-bilevel';
import {
  agreement,
  backendsUnderTest,
  onBackend,
  tensorsLeakedBy,
  tinyMlp,
  tinySource,
  valuesOf,
  withSession,
} from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { ridge, weightedLeastSquares } from './closed-forms.js';
import { A, PHI, quadratic, TARGET } from './problems.js';
import { softLabels } from './soft-labels.js';

const BOTH: Readonly<Record<string, Estimator>> = {
  neumann: neumann({ terms: 100, rate: 0.25 }),
  'conjugate gradient': conjugateGradient(),
  'neumann by differences': neumann({ terms: 100, rate: 0.25, products: 'differences' }),
  'conjugate gradient by differences': conjugateGradient({ products: 'differences' }),
};

function found(estimate: Estimator, problem: BilevelProblem): number[] {
  const { gradients, outer } = estimate(problem);
  const all = Object.values(gradients).flatMap((each) => Array.from(each.dataSync()));
  tf.dispose([outer, ...Object.values(gradients)]);
  return all;
}

const errorOf = (estimate: Estimator, problem: BilevelProblem, expected: readonly number[]) =>
  agreement([found(estimate, problem)], [[...expected]]).relativeError;

/** The quadratic problem with steps enough for its minimum. */
const converged = (more: Partial<BilevelProblem> = {}) =>
  quadratic({ optimizer: sgd({ learningRate: 0.8 }), steps: 20, ...more });

/** d outer/dφ of the quadratic problem at its minimum, where θ = φ. */
const AT_MINIMUM = PHI.map((phi, i) => phi - TARGET[i]!);

describe.each(backendsUnderTest())('a converged inner problem on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  describe.each(Object.entries(BOTH))('%s', (_, estimate) => {
    test('is the closed form of a quadratic problem', () => {
      expect(errorOf(estimate, converged(), AT_MINIMUM)).toBeLessThan(1e-3);
    });

    test('leaves no tensor behind, not even when the problem throws', async () => {
      const problem = quadratic({ steps: 2 });
      expect(await tensorsLeakedBy(() => found(estimate, problem))).toBe(0);
      let calls = 0;
      const inner: BilevelProblem['inner'] = (theta, made, step) => {
        if ((calls += 1) > 5) throw new Error('planted');
        return problem.inner(theta, made, step);
      };
      const work = () => {
        calls = 0;
        expect(() => estimate({ ...problem, inner })).toThrow('planted');
      };
      expect(await tensorsLeakedBy(work)).toBe(0);
    });
  });
});

describe.each(Object.entries(BOTH))('%s', (_, estimate) => {
  beforeAll(() => onBackend('cpu'));

  test("is the closed form of ridge regression's weight", () => {
    const { problem, expected } = ridge();
    expect(errorOf(estimate, problem, expected)).toBeLessThan(2e-3);
  });

  test('is the closed form of weighted least squares', () => {
    const { problem, expected } = weightedLeastSquares();
    expect(errorOf(estimate, problem, expected)).toBeLessThan(2e-3);
  });
});

describe('against brute force and each other', () => {
  beforeAll(() => onBackend('cpu'));

  test('with many inner steps both are the derivative that unroll finds by holding them all', async () => {
    const { neumann: series, 'conjugate gradient': solved } = BOTH;
    const estimators = { series: series!, solved: solved!, unroll };
    const options = { estimators, step: 0.5, runs: 1 };
    const { results } = await verify(converged(), options);
    expect(results).toHaveLength(3);
    for (const { relativeError } of results) expect(relativeError).toBeLessThan(1e-3);
    const [a, b, exact] = results;
    expect(Math.max(a!.peakTensors, b!.peakTensors)).toBeLessThan(exact!.peakTensors / 2);
  });

  test('before the inner problem has converged they are off by as much as it is', () => {
    const errors = [1, 3, 6, 20].map((steps) => {
      const problem = converged({ steps });
      return errorOf(conjugateGradient(), problem, found(unroll, problem));
    });
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
    expect(errors[0]).toBeGreaterThan(0.3);
    expect(errors[3]).toBeLessThan(1e-3);
  });

  test('a series of k terms is the unrolled run of k steps at the minimum', () => {
    const problem = quadratic({ theta: { w: tf.tensor1d(PHI) } });
    for (const terms of [1, 2, 7]) {
      const unrolled = found(unroll, { ...problem, steps: terms });
      const series = neumann({ terms, rate: 0.3 });
      expect(errorOf(series, problem, unrolled)).toBeLessThan(1e-5);
    }
  });

  test('conjugate gradient solves an ill-conditioned system in as many iterations as unknowns', () => {
    const curvatures = [0.1, 1, 50];
    const problem = quadratic({
      theta: { w: tf.tensor1d(PHI) },
      inner: ({ w }, made) =>
        tf.div(
          tf.sum(tf.mul(tf.square(tf.sub(w!, made()['centre']!)), tf.tensor1d(curvatures))),
          2,
        ),
    });
    const exact = conjugateGradient({ iterations: 3, tolerance: 0 });
    expect(errorOf(exact, problem, AT_MINIMUM)).toBeLessThan(1e-3);
    const two = conjugateGradient({ iterations: 2, tolerance: 0 });
    expect(errorOf(two, problem, AT_MINIMUM)).toBeGreaterThan(1e-3);
  });

  test('damping δ gives the solution of H + δI', () => {
    const expected = A.map((a, i) => (a / (a + 0.7)) * AT_MINIMUM[i]!);
    for (const estimate of [
      neumann({ damping: 0.7, terms: 40, rate: 0.3 }),
      conjugateGradient({ damping: 0.7 }),
    ]) {
      const error = errorOf(estimate, converged(), expected);
      expect(error).toBeLessThan(1e-3);
    }
  });

  test('what φ makes of θ is in the curvature of neumann, not in that of conjugate gradient', () => {
    // θ* = φθ* + 1 = 2, outer θ²/2: d outer/dφ = θ*²/(1 − φ) = 8; with what φ makes held: θ*² = 4.
    const problem: BilevelProblem = {
      theta: { w: tf.scalar(2) },
      phi: { slope: tf.scalar(0.5) },
      inner: ({ w }, made) => {
        const { pull } = made({ w: w! }, ({ slope }, given) => ({
          pull: tf.add(tf.mul(slope!, given['w']!), 1),
        }));
        return tf.div(tf.square(tf.sub(w!, pull!)), 2);
      },
      outer: ({ w }) => tf.div(tf.square(w!), 2),
      optimizer: sgd({ learningRate: 0.1 }),
    };
    expect(found(neumann({ terms: 60, rate: 0.5 }), problem)[0]).toBeCloseTo(8, 4);
    expect(found(conjugateGradient(), problem)[0]).toBeCloseTo(4, 4);
  });

  test('an outer loss with φ in it has its own derivative too', () => {
    const problem = converged({
      outer: ({ w }, { centre }) =>
        tf.add(quadratic().outer({ w: w! }, {}), tf.sum(tf.mul(centre!, 3))),
    });
    const expected = AT_MINIMUM.map((each) => each + 3);
    expect(errorOf(conjugateGradient(), problem, expected)).toBeLessThan(1e-3);
  });
});

describe('refused by name', () => {
  beforeAll(() => onBackend('cpu'));

  const saddle = (curvature: number): BilevelProblem =>
    quadratic({
      theta: { w: tf.tensor1d(PHI) },
      inner: ({ w }, made) =>
        tf.sum(
          tf.mul(tf.square(tf.sub(w!, made()['centre']!)), tf.tensor1d([0.5, 0.5, curvature / 2])),
        ),
    });

  test('negative curvature, with its size and the damping that it takes', () => {
    expect(() => conjugateGradient()(saddle(-3))).toThrow(
      /conjugate-gradient.*curves downwards.*damping 0.*set damping above/s,
    );
    const damped = conjugateGradient({ damping: 4 });
    const expected = AT_MINIMUM.map((each, i) => each * [1 / 5, 1 / 5, -3][i]!);
    expect(errorOf(damped, saddle(-3), expected)).toBeLessThan(1e-3);
  });

  test('a series whose terms grow, by rate and by curvature', () => {
    expect(() => neumann({ rate: 1.5 })(quadratic())).toThrow(/terms.*grow.*rate 1.5.*Lower rate/s);
    expect(() => neumann({ rate: 0.3 })(saddle(-3))).toThrow(/negative/);
  });

  test('an inner optimizer that moves θ by itself', () => {
    const optimizer = sgd({ learningRate: 0.1, weightDecay: 0.1 });
    for (const estimate of [neumann(), conjugateGradient()]) {
      expect(() => estimate(quadratic({ optimizer }))).toThrow(
        /weight decay.*inner loss as a term/s,
      );
    }
  });

  test("an op without a second derivative, which products: 'differences' does without", () => {
    const inner: BilevelProblem['inner'] = ({ w }, made) => {
      const x = tf.reshape(tf.sub(w!, made()['centre']!), [1, 1, 3, 1]) as tf.Tensor4D;
      return tf.sum(tf.square(tf.dilation2d(x, tf.zeros([1, 1, 1]), 1, 'valid'))) as tf.Scalar;
    };
    const problem = quadratic({ inner });
    expect(() => conjugateGradient()(problem)).toThrow(/no second derivative.*differences/s);
    const without = conjugateGradient({ products: 'differences' });
    expect(found(without, problem)).toHaveLength(3);
  });

  test.each([
    [() => neumann({ rate: 0 }), "option 'rate'"],
    [() => neumann({ terms: 0 }), "option 'terms'"],
    [() => conjugateGradient({ damping: -1 }), "option 'damping'"],
    [() => conjugateGradient({ iteration: 3 } as never), "Did you mean 'iterations'?"],
    [
      () =>
        bilevel({
          variables: ['a'],
          estimator: { kind: 'neumann', rat: 1 } as never,
        }),
      "'estimator.rat'",
    ],
  ])('options %#', (make, message) => {
    expect(make).toThrow(message);
  });
});

describe('in a run', () => {
  beforeAll(() => onBackend('cpu'));

  test.each([
    ['neumann' as const],
    [{ kind: 'neumann' as const, terms: 3, rate: 0.05 }],
    [{ kind: 'conjugate-gradient' as const, damping: 10, products: 'differences' as const }],
  ])('estimator: %j moves the outer variables', async (estimator) => {
    const session = createSession({
      model: tinyMlp,
      loss: crossEntropy(),
      optimizer: sgd({ learningRate: 0.1 }),
      train: tinySource({ examples: 12 }),
      plugins: [
        softLabels({ layer: 'hidden', features: [8] }),
        bilevel({ variables: ['soft-labels:*'], estimator, interval: 3 }),
      ],
    });
    await withSession(session, async (run) => {
      const path = 'soft-labels:soft/kernel';
      const before = valuesOf(run.parameters()).get(path);
      await run.fit({ epochs: 1 });
      expect(valuesOf(run.parameters()).get(path)).not.toEqual(before);
    });
  });
});

describe('for a non-converged problem of one step', () => {
  beforeAll(() => onBackend('cpu'));

  test('the estimators that differentiate steps stay apart from those that do not', async () => {
    const estimators = { finiteDifference, implicit: conjugateGradient() };
    const { results } = await verify(quadratic(), { estimators, runs: 1 });
    const [steps, implicit] = results;
    expect(steps!.relativeError).toBeLessThan(1e-3);
    expect(implicit!.relativeError).toBeGreaterThan(0.3);
  });
});
