import { chain, clipByGlobalNorm, sgd } from '@espalier/core';
import type { GradientTransform } from '@espalier/core';
import {
  ESTIMATORS,
  finiteDifference,
  firstOrder,
  jvp,
  unroll,
  verify,
} from '@espalier/plugin-bilevel';
import type { BilevelProblem, Estimator } from '@espalier/plugin-bilevel';
import { agreement, backendsUnderTest, onBackend, tensorsLeakedBy } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { A, distillation, PHI, quadratic, quadraticReference, START, TARGET } from './problems.js';

function found(estimate: Estimator, problem: BilevelProblem): number[] {
  const { gradients, outer } = estimate(problem);
  const all = Object.values(gradients).flatMap((each) => Array.from(each.dataSync()));
  tf.dispose([outer, ...Object.values(gradients)]);
  return all;
}

const ONE_STEP = { 'finite-difference': finiteDifference, jvp, unroll };
const momentum = sgd({ learningRate: 0.3, momentum: 0.9 });

describe.each(backendsUnderTest())('estimators on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each(Object.entries(ONE_STEP))('%s is the closed form of a quadratic problem', (_, each) => {
    const { relativeError } = agreement([found(each, quadratic())], [quadraticReference()]);
    expect(relativeError).toBeLessThan(1e-4);
  });

  test.each([1, 2, 5])('unroll goes through %i steps with momentum', (steps) => {
    const values = found(unroll, quadratic({ optimizer: momentum, steps }));
    const reference = quadraticReference({ momentum: 0.9, steps });
    expect(agreement([values], [reference]).relativeError).toBeLessThan(1e-5);
  });

  test('the outer loss is the one after the steps', () => {
    const theta = START.map((w, i) => w - 0.3 * A[i]! * (w - PHI[i]!));
    const expected = theta.reduce((sum, w, i) => sum + (w - TARGET[i]!) ** 2 / 2, 0);
    for (const estimate of Object.values(ONE_STEP)) {
      const { outer, gradients } = estimate(quadratic());
      expect(outer.dataSync()[0]).toBeCloseTo(expected, 5);
      tf.dispose([outer, gradients]);
    }
  });

  test.each<[string, GradientTransform, number]>([
    ['plain', sgd({ learningRate: 0.5 }), 1],
    ['clipped', chain(clipByGlobalNorm(0.1), sgd({ learningRate: 0.5 })), 1],
    ['with momentum and decay', sgd({ learningRate: 0.5, momentum: 0.9, weightDecay: 0.1 }), 1],
    ['with momentum, three steps', sgd({ learningRate: 0.5, momentum: 0.9 }), 3],
  ])('soft targets that depend on features, %s: as by brute force', async (_, optimizer, steps) => {
    const problem = { ...distillation(optimizer), steps };
    const estimators = steps === 1 ? ONE_STEP : { unroll };
    const { results, failed } = await verify(problem, { estimators, directions: 12, runs: 1 });
    expect(failed).toEqual({});
    expect(results).toHaveLength(Object.keys(estimators).length);
    for (const { cosine, relativeError } of results) {
      expect(cosine).toBeGreaterThan(0.99999);
      expect(relativeError).toBeLessThan(2e-3);
    }
  });

  test('learned rates: φ in the optimizer; the first order is all there is', async () => {
    const problem: BilevelProblem = {
      ...quadratic(),
      phi: { rate: tf.tensor1d([-1, -2, -0.5]) },
      inner: ({ w }) => tf.sum(tf.mul(tf.square(w!), tf.tensor1d(A))),
      optimizer: ({ rate }) => ({
        name: 'learned',
        init: () => ({}),
        update: ({ w: g }, slots) => ({
          state: slots,
          updates: { w: tf.neg(tf.mul(g!, tf.exp(rate!))) },
        }),
      }),
    };
    const { results, failed } = await verify(problem, { runs: 1 });
    expect(failed).toEqual({});
    expect(results.map(({ estimator }) => estimator)).toEqual(Object.keys(ESTIMATORS));
    results.forEach(({ relativeError }) => expect(relativeError).toBeLessThan(1e-4));
  });

  test('leave no tensor behind, not even when the problem throws', async () => {
    const problem = distillation();
    for (const estimate of Object.values(ONE_STEP)) {
      expect(await tensorsLeakedBy(() => found(estimate, problem))).toBe(0);
      for (const at of [1, 2, 3, 4]) {
        let calls = 0;
        const inner: BilevelProblem['inner'] = (theta, made, step) => {
          const loss = problem.inner(theta, made, step);
          if ((calls += 1) === at) throw new Error('planted');
          return loss;
        };
        const work = () => {
          try {
            found(estimate, { ...problem, inner });
          } catch {
            return;
          }
        };
        expect(await tensorsLeakedBy(work)).toBe(0);
      }
    }
  });
});

describe('what does not fit', () => {
  beforeAll(() => onBackend('cpu'));

  test('one-step estimators refuse more steps', () => {
    expect(() => jvp(quadratic({ steps: 2 }))).toThrow(/jvp.*one inner step.*Received: 2.*unroll/s);
  });

  test('first-order says that it sees nothing, and what does', () => {
    expect(() => firstOrder(quadratic())).toThrow(/first-order.*jvp.*finite-difference.*unroll/s);
  });

  test('an outer loss without φ is told', () => {
    const inner: BilevelProblem['inner'] = ({ w }) => tf.sum(tf.square(w!));
    expect(() => unroll(quadratic({ inner }))).toThrow(/does not depend on any outer variable/);
  });

  test('an op without a second derivative is named, with the estimators that do without', () => {
    const inner: BilevelProblem['inner'] = ({ w }, made) => {
      const x = tf.reshape(tf.mul(w!, made()['centre']!), [1, 1, 3, 1]) as tf.Tensor4D;
      return tf.sum(tf.dilation2d(x, tf.ones([1, 1, 1]), 1, 'valid')) as tf.Scalar;
    };
    const problem = quadratic({ inner });
    expect(() => unroll(problem)).toThrow(/Dilation2DBackpropInput has no second derivative.*jvp/s);
    expect(found(jvp, problem)).toHaveLength(3);
  });
});
