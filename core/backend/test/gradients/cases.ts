import * as tf from '@tensorflow/tfjs-core';
import { spread, stream } from './differences.js';
import type { Differentiable, Problem } from './differences.js';

export interface Input {
  readonly shape: number[];
  readonly low: number;
  readonly high: number;
}

/** An input by its shape and the interval of its values. */
export const input = (shape: number[], low = -1.5, high = 1.5): Input => ({ shape, low, high });

export interface Case {
  readonly name: string;
  readonly fn: Differentiable;
  readonly inputs: readonly Input[];
  /** 1 for a function whose second derivative is zero or undefined everywhere. */
  readonly orders?: readonly (1 | 2)[];
  /** A kernel that not every backend has. */
  readonly kernel?: string;
  /** Backends that refuse its arguments. */
  readonly refusedBy?: readonly string[];
}

type CaseOptions = Pick<Case, 'orders' | 'kernel' | 'refusedBy'>;

export function example(
  name: string,
  fn: (...inputs: never[]) => tf.Tensor,
  inputs: readonly (Input | number[])[],
  options: CaseOptions = {},
): Case {
  const described = inputs.map((one) => (Array.isArray(one) ? input(one) : one));
  return { name, fn: fn as unknown as Differentiable, inputs: described, ...options };
}

/** The case as a problem: seeded values and weights. */
export function problemOf({ fn, inputs }: Case, seed = 1): Problem {
  const next = stream(seed);
  const point = inputs.map(({ shape, low, high }) =>
    spread(tf.util.sizeFromShape(shape), low, high, next),
  );
  const weights = (size: number) => spread(size, -1, 2, stream(seed + 7));
  return { fn, shapes: inputs.map(({ shape }) => shape), point, weights };
}
