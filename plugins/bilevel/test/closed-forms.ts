import { sgd } from '@espalier/core';
import type { BilevelProblem } from '@espalier/plugin-bilevel';
import * as tf from '@tensorflow/tfjs-core';
import { Matrix, solve } from 'ml-matrix';

/** A problem at its inner minimum, and d outer/dφ there in double precision. */
export interface ClosedForm {
  readonly problem: BilevelProblem;
  readonly expected: readonly number[];
}

const X = [
  [1, 0.2, -0.4],
  [0.3, -1.1, 0.5],
  [-0.7, 0.6, 1.2],
  [0.9, 0.8, 0.1],
  [-0.2, -0.5, -1],
  [0.4, -0.3, 0.7],
];
const Y = [1.1, -0.6, 0.4, 1.3, -0.9, 0.2];
const OUTER_X = [
  [0.5, -0.4, 0.3],
  [-0.8, 1, 0.6],
  [0.2, 0.9, -0.7],
  [1.2, -0.1, -0.5],
];
const OUTER_Y = [0.3, 0.2, -0.1, 1];

const plain = sgd({ learningRate: 0.1 });
const [x, y, outerX, outerY] = [
  new Matrix(X),
  Matrix.columnVector(Y),
  new Matrix(OUTER_X),
  Matrix.columnVector(OUTER_Y),
];

/** ‖X'w − y'‖²/2 and its gradient. */
const outer: BilevelProblem['outer'] = ({ w }) => {
  const gap = tf.sub(tf.matMul(tf.tensor2d(OUTER_X), w!), tf.tensor2d(OUTER_Y, [4, 1]));
  return tf.div(tf.sum(tf.square(gap)), 2);
};
const outerGradient = (w: Matrix) => outerX.transpose().mmul(outerX.mmul(w).sub(outerY));

const at = (w: Matrix) => ({ w: tf.tensor2d(w.to2DArray()) });
const square = (w: tf.Tensor) => tf.sum(tf.square(w));

/**
 * inner ‖Xw − y‖²/2 + e^φ‖w‖²/2: w* = (XᵀX + e^φ I)⁻¹Xᵀy, and d outer/dφ = −e^φ w*ᵀ(XᵀX + e^φ I)⁻¹∇outer.
 */
export function ridge(): ClosedForm {
  const phi = -0.5;
  const weight = Math.exp(phi);
  const system = x.transpose().mmul(x).add(Matrix.eye(3).mul(weight));
  const w = solve(system, x.transpose().mmul(y));
  const q = solve(system, outerGradient(w));
  return {
    problem: {
      theta: at(w),
      phi: { log: tf.scalar(phi) },
      inner({ w }, made) {
        const gap = tf.sub(tf.matMul(tf.tensor2d(X), w!), tf.tensor2d(Y, [6, 1]));
        const penalty = tf.mul(tf.exp(made()['log']!), square(w!));
        return tf.div(tf.add(square(gap), penalty), 2);
      },
      outer,
      optimizer: plain,
    },
    expected: [-weight * w.dot(q)],
  };
}

/**
 * inner Σ e^φᵢ(xᵢw − yᵢ)²/2: with S = diag(e^φ), w* = (XᵀSX)⁻¹XᵀSy, and
 * d outer/dφᵢ = −e^φᵢ(xᵢw* − yᵢ)·xᵢ(XᵀSX)⁻¹∇outer.
 */
export function weightedLeastSquares(): ClosedForm {
  const phi = [0.1, -0.4, 0.6, -0.2, 0.3, -0.7];
  const weights = phi.map(Math.exp);
  const weighted = Matrix.diag(weights).mmul(x);
  const system = x.transpose().mmul(weighted);
  const w = solve(system, weighted.transpose().mmul(y));
  const along = x.mmul(solve(system, outerGradient(w))).to1DArray();
  const gaps = x.mmul(w).sub(y).to1DArray();
  return {
    problem: {
      theta: at(w),
      phi: { logs: tf.tensor1d(phi) },
      inner({ w }, made) {
        const gap = tf.sub(tf.matMul(tf.tensor2d(X), w!), tf.tensor2d(Y, [6, 1]));
        const each = tf.mul(tf.exp(made()['logs']!), tf.square(tf.reshape(gap, [6])));
        return tf.div(tf.sum(each), 2) as tf.Scalar;
      },
      outer,
      optimizer: plain,
    },
    expected: weights.map((weight, i) => -weight * gaps[i]! * along[i]!),
  };
}
