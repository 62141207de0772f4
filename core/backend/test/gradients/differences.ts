import * as tf from '@tensorflow/tfjs-core';

/** A seeded stream of numbers in [0, 1) (mulberry32). */
export function stream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), 1 | state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type Values = Float32Array<ArrayBuffer>;

/**
 * Evenly spaced, shuffled values of an interval: no two are close, so that the maximum of a window
 * or the sign of a number stays what it is under a small step.
 */
export function spread(size: number, low: number, high: number, next: () => number): Values {
  const values = Float32Array.from(
    { length: size },
    (_, i) => low + ((i + 0.5) / size) * (high - low),
  );
  for (let i = size - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
  return values;
}

export type Differentiable = (...inputs: tf.Tensor[]) => tf.Tensor;

/**
 * A function at a point, made a scalar by fixed weights: `sum(weights * y + y² / 2)`. The square
 * gives linear functions a second derivative too, through the gradient of their gradient.
 */
export interface Problem {
  readonly fn: Differentiable;
  readonly shapes: readonly number[][];
  readonly point: readonly Values[];
  readonly weights: (size: number) => Values;
}

const size = (shape: readonly number[]) => shape.reduce((n, k) => n * k, 1);

/** Standard normal directions through all inputs at once, of unit length. */
export function directions(problem: Problem, count: number, seed: number): Values[][] {
  const next = stream(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return Array.from({ length: count }, () => {
    const parts = problem.shapes.map((shape) => Float32Array.from({ length: size(shape) }, normal));
    const norm = Math.hypot(...parts.flatMap((part) => [...part]));
    return parts.map((part) => part.map((value) => value / norm));
  });
}

function tensorsAt(problem: Problem, direction?: readonly Values[], step = 0): tf.Tensor[] {
  return problem.point.map((values, i) => {
    const moved = direction ? values.map((v, k) => v + step * direction[i]![k]!) : values;
    return tf.tensor(moved, problem.shapes[i]!);
  });
}

/** The scalar in float64, from one float32 evaluation of the function. */
function value(problem: Problem, direction: readonly Values[], step: number): number {
  return tf.tidy(() => {
    const y = problem.fn(...tensorsAt(problem, direction, step)).dataSync();
    return problem.weights(y.length).reduce((sum, w, i) => sum + w * y[i]! + y[i]! ** 2 / 2, 0);
  });
}

/** Central differences of fourth order: two steps, so that the step may be large for float32. */
function central<T>(
  at: (step: number) => T,
  combine: (near: [T, T], far: [T, T], h: number) => T,
): T {
  const h = 1e-2;
  return combine([at(h), at(-h)], [at(2 * h), at(-2 * h)], h);
}

const slope = (near: [number, number], far: [number, number], h: number) =>
  (8 * (near[0] - near[1]) - (far[0] - far[1])) / (12 * h);

export function directionalDifference(problem: Problem, direction: readonly Values[]): number {
  return central((step) => value(problem, direction, step), slope);
}

/** The scalar as a tensor, for tf.grads. */
function scalarOf(problem: Problem): Differentiable {
  return (...inputs) => {
    const y = problem.fn(...inputs);
    const weights = tf.tensor(problem.weights(y.size), y.shape);
    return tf.sum(tf.add(tf.mul(y, weights), tf.div(tf.square(y), 2)));
  };
}

/** The gradient by tfjs, flat. */
export function gradient(problem: Problem, direction?: readonly Values[], step = 0): Float64Array {
  return readInTidy(() => tf.grads(scalarOf(problem))(tensorsAt(problem, direction, step)));
}

/** All values of some tensors, flat. */
function readInTidy(compute: () => tf.Tensor[]): Float64Array {
  let values: number[] = [];
  tf.tidy(() => {
    values = compute().flatMap((t) => [...t.dataSync()]);
  });
  return Float64Array.from(values);
}

/** Central differences of the gradient by tfjs along a direction. */
export function gradientDifference(problem: Problem, direction: readonly Values[]): Float64Array {
  return central(
    (step) => gradient(problem, direction, step),
    (near, far, h) =>
      near[0].map((_, i) => slope([near[0][i]!, near[1][i]!], [far[0][i]!, far[1][i]!], h)),
  );
}

/** Hessian times direction by tfjs: the gradient of `<gradient, direction>`. */
export function hessianVector(problem: Problem, direction: readonly Values[]): Float64Array {
  return readInTidy(() => {
    const along = direction.map((part, i) => tf.tensor(part, problem.shapes[i]!));
    const slopeAlong: Differentiable = (...inputs) =>
      tf.addN(
        tf
          .grads(scalarOf(problem))(inputs)
          .map((g, i) => tf.sum(tf.mul(g, along[i]!))),
      );
    return tf.grads(slopeAlong)(tensorsAt(problem));
  });
}

export function dot(gradientValues: Float64Array, direction: readonly Values[]): number {
  return direction
    .flatMap((part) => [...part])
    .reduce((sum, v, i) => sum + v * gradientValues[i]!, 0);
}
