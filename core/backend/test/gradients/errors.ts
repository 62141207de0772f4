import {
  directionalDifference,
  directions,
  dot,
  gradient,
  gradientDifference,
  hessianVector,
} from './differences.js';
import type { Problem } from './differences.js';

/** Float32 leaves about 1e-5 of the function's scale over the step in a difference. */
export const relativeTolerance = 2e-3;

/** The largest difference, relative to the larger of 1 and the largest expected value. */
export function relativeError(actual: readonly number[], expected: readonly number[]): number {
  const scale = Math.max(1, ...expected.map(Math.abs));
  return Math.max(...actual.map((a, i) => Math.abs(a - expected[i]!))) / scale;
}

/** How far the gradient by tfjs is from differences of the function. */
export function firstOrderError(problem: Problem): number {
  const analytic = gradient(problem);
  const along = directions(problem, 6, 11);
  return relativeError(
    along.map((direction) => dot(analytic, direction)),
    along.map((direction) => directionalDifference(problem, direction)),
  );
}

/** How far the Hessian-vector product by tfjs is from differences of the gradient by tfjs. */
export function secondOrderError(problem: Problem): number {
  const [direction] = directions(problem, 1, 13);
  const analytic = hessianVector(problem, direction!);
  return relativeError([...analytic], [...gradientDifference(problem, direction!)]);
}
