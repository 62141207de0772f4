import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';

/** What an LSTM computes from; gates in the order input, forget, cell, output, as in tfjs-layers. */
export interface LstmInputs {
  /** `[batch, time, features]`. */
  readonly x: Tensor3D;
  /** `[features, 4 * units]`. */
  readonly kernel: Tensor2D;
  /** `[units, 4 * units]`. */
  readonly recurrentKernel: Tensor2D;
  /** `[4 * units]`. */
  readonly bias: Tensor1D;
  /** Hidden state before the first step, `[batch, units]`. */
  readonly h: Tensor2D;
  /** Cell state before the first step, `[batch, units]`. */
  readonly c: Tensor2D;
}

/**
 * An LSTM (Hochreiter & Schmidhuber, 1997, with forget gates) over a whole sequence, with its own
 * backward pass: one product a step for input and state together, and nothing of it on the tape.
 * Differentiable once; a second derivative would take the gates for constants.
 *
 * @returns the hidden state behind each step, and in one row more the last cell state:
 * `[batch, time + 1, units]`.
 */
export function lstmSequence({ x, kernel, recurrentKernel, bias, h, c }: LstmInputs): Tensor3D {
  const weights = tf.concat([kernel, recurrentKernel]); // [features + units, 4 * units]
  return sequence(x, weights, bias, h, c) as Tensor3D;
}

/** A step, and its derivatives. */
interface Step {
  /** Hidden state behind it, `[batch, units]`. */
  readonly h: Tensor2D;
  /** Input and hidden state before it, `[batch, features + units]`. */
  readonly joint: Tensor2D;
  /** The forget gate: by how much the cell state behind it moves with that before it. */
  readonly forget: Tensor2D;
  /** By how much h moves with the cell state behind the step, `[batch, units]`. */
  readonly cellSlope: Tensor2D;
  /** By how much c, c, c and h move with the sums that the gates squash, `[batch, 4 * units]`. */
  readonly sumSlopes: Tensor2D;
}

const SAVED = ['joint', 'forget', 'cellSlope', 'sumSlopes'] as const;

type Derivatives = Pick<Step, (typeof SAVED)[number]>;
type Operands = readonly [Tensor3D, Tensor2D, Tensor1D, Tensor2D, Tensor2D];

const sequence = tf.customGrad((...args) => {
  const save = args.pop() as unknown as (tensors: Tensor[]) => void;
  const [x, weights, bias, h, c] = args as unknown as Operands;
  const { steps, last } = forward(x, weights, bias, h, c);
  save([weights, ...steps.flatMap((step) => SAVED.map((field) => step[field]))]);
  return {
    value: tf.stack([...steps.map((step) => step.h), last], 1),
    gradFunc: (dy: Tensor, [kept, ...fields]: Tensor[]) =>
      backward(dy as Tensor3D, kept as Tensor2D, unflatten(fields), x.shape),
  };
});

function unflatten(fields: readonly Tensor[]): Derivatives[] {
  return Array.from({ length: fields.length / SAVED.length }, (_, step) => {
    const entries = SAVED.map((field, k) => [field, fields[step * SAVED.length + k]!]);
    return Object.fromEntries(entries) as unknown as Derivatives;
  });
}

function forward(...[x, weights, bias, h, c]: Operands): { steps: Step[]; last: Tensor2D } {
  // tanh(z) = 2 σ(2 z) − 1: with doubled columns one sigmoid serves all gates.
  const doubling = doubledThird(h.shape[1]);
  const b = tf.mul(weights, doubling);
  const biases = tf.mul(bias, doubling);
  const steps: Step[] = [];
  for (const input of unstackTime(x)) {
    const joint = tf.concat([input, h], 1);
    const gates = tf.sigmoid(tf.fused.matMul({ a: joint, b, bias: biases }) as Tensor2D);
    const [i, f, s, o] = tf.split(gates, 4, 1) as [Tensor2D, Tensor2D, Tensor2D, Tensor2D];
    const before = c;
    const g: Tensor2D = tf.sub(tf.add(s, s), 1);
    c = tf.add(tf.mul<Tensor2D>(f, before), tf.mul(i, g));
    const t: Tensor2D = tf.tanh(c);
    h = tf.mul(o, t);
    steps.push({ h, joint, forget: f, ...slopesOf(gates, [g, before, i, t], o, h) });
  }
  return { steps, last: c };
}

function slopesOf(
  gates: Tensor2D,
  [g, before, i, t]: readonly [Tensor2D, Tensor2D, Tensor2D, Tensor2D],
  o: Tensor2D,
  h: Tensor2D,
): Pick<Step, 'cellSlope' | 'sumSlopes'> {
  const ofSigmoid = tf.sub(gates, tf.square(gates));
  return {
    cellSlope: tf.sub(o, tf.mul(h, t)), // o (1 − t²)
    // g has the slope 1 − g² = 4 (s − s²).
    sumSlopes: tf.mul(ofSigmoid, tf.concat([g, before, tf.mul(i, 4), t], 1)),
  };
}

/** 2 in the third quarter of `[4 * units]`, else 1. */
function doubledThird(units: number): Tensor1D {
  return tf.tensor1d(
    Array.from({ length: 4 * units }, (_, k) => (Math.floor(k / units) === 2 ? 2 : 1)),
  );
}

/** `[batch, time, n]` as `time` times `[batch, n]`; by gather, which copies nothing else. */
function unstackTime(x: Tensor3D): Tensor2D[] {
  const [batch, time, n] = x.shape;
  return Array.from({ length: time }, (_, t) =>
    tf.reshape(tf.gather(x, tf.tensor1d([t], 'int32'), 1), [batch, n]),
  );
}

/** Gradients by `x`, weights, bias, `h` and `c`. */
function backward(
  dy: Tensor3D,
  weights: Tensor2D,
  steps: readonly Derivatives[],
  [, , features]: Tensor3D['shape'],
): Tensor[] {
  const transposed: Tensor2D = tf.transpose(weights);
  const outer = unstackTime(dy);
  let dc = outer.pop()!; // by the cell state behind the step
  let dh: Tensor2D = tf.zerosLike(dc); // by the hidden state behind the step, from later steps
  const dxs: Tensor2D[] = [];
  const dSums: Tensor2D[] = []; // by the sums that the gates squash
  for (const { forget, cellSlope, sumSlopes } of [...steps].reverse()) {
    dh = tf.add(dh, outer.pop()!);
    dc = tf.add(dc, tf.mul(dh, cellSlope));
    const dSum: Tensor2D = tf.mul(sumSlopes, tf.concat([dc, dc, dc, dh], 1));
    const dJoint: Tensor2D = tf.matMul(dSum, transposed);
    dxs.unshift(tf.slice(dJoint, [0, 0], [-1, features]));
    dh = tf.slice(dJoint, [0, features], [-1, -1]);
    dc = tf.mul(dc, forget);
    dSums.unshift(dSum);
  }
  const allSums = tf.concat(dSums);
  const joints = tf.concat(steps.map(({ joint }) => joint));
  const dWeights = tf.matMul(joints, allSums, true);
  return [tf.stack(dxs, 1), dWeights, tf.sum(allSums, 0), dh, dc];
}
