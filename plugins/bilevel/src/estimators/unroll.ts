import { applyUpdates, EspalierError } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { differentiate } from '../differentiate.js';
import { innerWith, startInnerOptimizer } from '../inner-step.js';
import type { BilevelProblem, Estimator } from '../problem.js';
import { recordCalls } from '../record-calls.js';
import { mapTensors } from '../tensor-math.js';
import { defineEstimator } from './estimator.js';

/**
 * Exact: differentiates through k inner steps, the optimizer's momentum and the like included. Holds
 * everything that k forward and backward passes make; every op of the inner loss needs a second
 * derivative.
 *
 * @throws EspalierError `bilevel/second-order` naming the op without one, `bilevel/no-gradient`.
 */
export const unroll: Estimator = defineEstimator(
  'unroll',
  (problem) => {
    try {
      const { value, gradients } = differentiate(() => outerAfterSteps(problem), problem.phi);
      return { outer: value, gradients };
    } catch (error) {
      throw secondOrder(error);
    }
  },
  { steps: Infinity },
);

/** The outer loss after the inner steps from φ; differentiable. */
export function outerAfterSteps(problem: BilevelProblem): tf.Scalar {
  const { phi, outer, steps = 1 } = problem;
  let { theta } = problem;
  let optimizer = startInnerOptimizer(problem, phi);
  for (let step = 0; step < steps; step += 1) {
    const at = theta;
    const { calls } = recordCalls(problem, (made) => problem.inner(at, made, step));
    const made = calls.map((call) => call.made);
    // Copies, so that the inner gradient takes what was made from θ as given.
    const copies = mapTensors(theta, tf.clone);
    const { gradients } = differentiate(() => innerWith(problem, copies, made, step), copies);
    const { transform, state } = optimizer;
    const after = transform.update(gradients, state, theta, { step });
    theta = { ...theta, ...applyUpdates(theta, after.updates) };
    optimizer = { transform, state: after.state };
  }
  return outer(theta, phi);
}

function secondOrder(error: unknown): unknown {
  const op = /gradient function not found for (\w+)/.exec(String(error))?.[1];
  if (op === undefined) return error;
  return new EspalierError('bilevel/second-order', {
    problem: `estimator 'unroll': the op ${op} has no second derivative in TensorFlow.js`,
    fix: "Use 'jvp', 'finite-difference' or 'first-order', or register a gradient for it.",
    cause: error,
  });
}
