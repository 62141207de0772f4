import { applyUpdates } from '@espalier/core';
import type { GradientTransform, NamedTensors, OptimizerState } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { differentiate } from '../differentiate.js';
import { innerWith, startInnerOptimizer } from '../inner-step.js';
import type { BilevelProblem } from '../problem.js';
import { recordCalls } from '../record-calls.js';
import { mapTensors } from '../tensor-math.js';

/** θ and the optimizer's state at one point of an inner run. */
interface Point {
  readonly theta: NamedTensors;
  readonly state: OptimizerState;
}

/** θ after the inner steps of a problem; differentiable by φ. */
export function runInner(problem: BilevelProblem): NamedTensors {
  const { transform, state } = startInnerOptimizer(problem, problem.phi);
  let at: Point = { theta: problem.theta, state };
  for (let step = 0; step < (problem.steps ?? 1); step += 1) {
    at = takeStep(problem, transform, at, step);
  }
  return at.theta;
}

/** The same where nothing is differentiated: holds one step at a time. */
export function runInnerFreely(problem: BilevelProblem): NamedTensors {
  const { transform, state } = startInnerOptimizer(problem, problem.phi);
  let at: Point = { theta: problem.theta, state };
  const given = listTensors(at);
  for (let step = 0; step < (problem.steps ?? 1); step += 1) {
    const before = at;
    at = tf.tidy(() => takeStep(problem, transform, before, step) as never);
    const needed = new Set([...given, ...listTensors(at)]);
    tf.dispose(listTensors(before).filter((tensor) => !needed.has(tensor)));
  }
  return at.theta;
}

function takeStep(
  problem: BilevelProblem,
  transform: GradientTransform,
  { theta, state }: Point,
  step: number,
): Point {
  const gradients = fullInnerGradient(problem, theta, step);
  const after = transform.update(gradients, state, theta, { step });
  return { theta: { ...theta, ...applyUpdates(theta, after.updates) }, state: after.state };
}

function listTensors({ theta, state }: Point): tf.Tensor[] {
  return [theta, ...Object.values(state)].flatMap((each) => Object.values(each));
}

/** ∇_θ inner as a function of φ and of θ, the θ that φ makes something of included; differentiable. */
export function fullInnerGradient(
  problem: BilevelProblem,
  theta: NamedTensors,
  step: number,
): NamedTensors {
  const { calls } = recordCalls(problem, (made) => problem.inner(theta, made, step));
  return innerGradientGiven(
    problem,
    theta,
    calls.map(({ made }) => made),
    step,
  );
}

/** ∇_θ inner where what φ makes is given; differentiable. */
export function innerGradientGiven(
  problem: BilevelProblem,
  theta: NamedTensors,
  made: readonly NamedTensors[],
  step: number,
): NamedTensors {
  // Copies, so that the gradient takes what was made from θ as given.
  const copies = mapTensors(theta, tf.clone);
  return differentiate(() => innerWith(problem, copies, made, step), copies).gradients;
}
