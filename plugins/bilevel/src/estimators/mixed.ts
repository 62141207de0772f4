import type { NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { dot, mapTensors } from '../tensor-math.js';

/** Length of the step in θ: the best for float32 losses. */
const STEP = 1e-2;

/**
 * d/ds of a function of θ along `direction` (θ + s·direction), by central differences: the function's
 * values at θ ± ε·direction with ε = 0.01/‖direction‖, over 2ε. Where a value lacks a name, so does
 * the result. Names of θ that `direction` lacks stay where they are.
 */
export function centralDifference(
  theta: NamedTensors,
  direction: NamedTensors,
  f: (theta: NamedTensors) => NamedTensors,
): NamedTensors {
  const norm = tf.maximum(tf.sqrt(dot(direction, direction)), 1e-30);
  const at = (sign: number) => {
    const epsilon = tf.div(sign * STEP, norm);
    const moved = mapTensors(direction, (each, name) =>
      tf.add(theta[name]!, tf.mul(each, epsilon)),
    );
    return f({ ...theta, ...moved });
  };
  const [ahead, behind] = [at(1), at(-1)];
  const perTwoEpsilon = tf.div(norm, 2 * STEP);
  return mapTensors(ahead, (each, name) => tf.mul(tf.sub(each, behind[name]!), perTwoEpsilon));
}
