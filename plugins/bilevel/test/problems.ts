import { sgd } from '@espalier/core';
import type { NamedTensors, GradientTransform } from '@espalier/core';
import type { BilevelProblem } from '@espalier/plugin-bilevel';
import * as tf from '@tensorflow/tfjs-core';

/**
 * inner(θ, φ) = Σ a(θ − φ)²/2, outer(θ) = Σ (θ − t)²/2, each coordinate alone: everything is known in
 * closed form.
 */
export const A = [0.5, 1, 2];
export const TARGET = [1, -1, 0.5];
export const START = [0.3, -0.7, 2];
export const PHI = [1.5, 0.2, -0.4];

export function quadratic(more: Partial<BilevelProblem> = {}): BilevelProblem {
  return {
    theta: { w: tf.tensor1d(START) },
    phi: { centre: tf.tensor1d(PHI) },
    inner: ({ w }, made) =>
      tf.sum(tf.mul(tf.square(tf.sub(w!, made()['centre']!)), tf.tensor1d(A.map((a) => a / 2)))),
    outer: ({ w }) => tf.div(tf.sum(tf.square(tf.sub(w!, tf.tensor1d(TARGET)))), 2),
    optimizer: sgd({ learningRate: 0.3 }),
    ...more,
  };
}

/** d outer/dφ of {@link quadratic} after k steps of SGD with momentum, in double precision. */
export function quadraticReference({ rate = 0.3, momentum = 0, steps = 1 } = {}): number[] {
  return A.map((a, i) => {
    let [theta, byPhi, velocity, velocityByPhi] = [START[i]!, 0, 0, 0];
    for (let step = 0; step < steps; step += 1) {
      velocity = momentum * velocity + a * (theta - PHI[i]!);
      velocityByPhi = momentum * velocityByPhi + a * (byPhi - 1);
      theta -= rate * velocity;
      byPhi -= rate * velocityByPhi;
    }
    return (theta - TARGET[i]!) * byPhi;
  });
}

/** A two-layer network whose soft targets a linear generator makes of its hidden layer. */
export function distillation(
  optimizer: GradientTransform = sgd({ learningRate: 0.5 }),
): BilevelProblem {
  const x = tf.randomNormal([12, 5], 0, 1, 'float32', 1);
  const y = tf.oneHot(tf.tensor1d([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2], 'int32'), 3);
  const outerX = tf.randomNormal([9, 5], 0, 1, 'float32', 2);
  const outerY = tf.oneHot(tf.tensor1d([0, 0, 0, 1, 1, 1, 2, 2, 2], 'int32'), 3);
  const hidden = ({ first }: NamedTensors, of: tf.Tensor) => tf.tanh(tf.matMul(of, first!));
  const entropy = (p: tf.Tensor, logits: tf.Tensor) =>
    tf.neg(tf.mean(tf.sum(tf.mul(p, tf.logSoftmax(logits)), -1))) as tf.Scalar;
  return {
    theta: {
      first: tf.randomNormal([5, 4], 0, 0.6, 'float32', 3),
      last: tf.randomNormal([4, 3], 0, 0.6, 'float32', 4),
    },
    phi: { generator: tf.randomNormal([4, 3], 0, 0.6, 'float32', 5) },
    inner(theta, made) {
      const features = hidden(theta, x);
      const logits = tf.matMul(features, theta['last']!);
      const targets = made({ features }, (phi, given) => ({
        logits: tf.matMul(given['features']!, phi['generator']!),
      }));
      const soft = tf.softmax(tf.div(targets['logits']!, 2));
      const distilled = tf.mul(entropy(soft as tf.Tensor, tf.div(logits, 2)), 4);
      return tf.add(entropy(y, logits), distilled);
    },
    outer: (theta) => entropy(outerY, tf.matMul(hidden(theta, outerX), theta['last']!)),
    optimizer,
  };
}

/** A network of three ReLU layers with a ReLU generator, on few examples: kinks all around. */
export function kinked(seed: number): BilevelProblem {
  const normal = (shape: [number, number], more: number, deviation = 0.6) =>
    tf.randomNormal(shape, 0, deviation, 'float32', 1000 * seed + more);
  const [x, outerX] = [normal([12, 5], 0, 1), normal([12, 5], 1, 1)];
  const y = tf.oneHot(tf.tensor1d([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2], 'int32'), 3);
  const through = (of: tf.Tensor, ...weights: tf.Tensor[]) =>
    weights.reduce((at, weight) => tf.relu(tf.matMul(at, weight)), of);
  const entropy = (p: tf.Tensor, logits: tf.Tensor) =>
    tf.neg(tf.mean(tf.sum(tf.mul(p, tf.logSoftmax(logits)), -1))) as tf.Scalar;
  return {
    theta: { a: normal([5, 8], 2), b: normal([8, 8], 3), last: normal([8, 3], 4) },
    phi: { first: normal([8, 8], 5), second: normal([8, 3], 6) },
    inner({ a, b, last }, made) {
      const features = through(x, a!, b!);
      const { soft } = made({ features }, ({ first, second }, given) => ({
        soft: tf.matMul(through(given['features']!, first!), second!),
      }));
      const logits = tf.matMul(features, last!);
      return tf.add(entropy(y, logits), entropy(tf.softmax(soft!), logits));
    },
    outer: ({ a, b, last }) => entropy(y, tf.matMul(through(outerX, a!, b!), last!)),
    optimizer: sgd({ learningRate: 0.3 }),
  };
}
