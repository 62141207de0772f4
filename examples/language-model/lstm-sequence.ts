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

/** What a step leaves for the backward pass. */
interface Step {
  /** Input and hidden state before it, `[batch, features + units]`. */
  readonly joint: Tensor2D;
  /** Cell state before it, `[batch, units]`; so are the others but the last. */
  readonly before: Tensor2D;
  readonly i: Tensor2D;
  readonly f: Tensor2D;
  /** The cell's proposal: a tanh. */
  readonly g: Tensor2D;
  /** tanh of the cell state behind it. */
  readonly t: Tensor2D;
  readonly h: Tensor2D;
  /** The four gates, the third as the sigmoid that g is 2σ − 1 of: `[batch, 4 * units]`. */
  readonly gates: Tensor2D;
}

const FIELDS = ['joint', 'before', 'i', 'f', 'g', 't', 'h', 'gates'] as const;

type Operands = readonly [Tensor3D, Tensor2D, Tensor1D, Tensor2D, Tensor2D];

const sequence = tf.customGrad((...args) => {
  const save = args.pop() as unknown as (tensors: Tensor[]) => void;
  const [x, weights, bias, h, c] = args as unknown as Operands;
  const { steps, last } = forward(x, weights, bias, h, c);
  save([weights, ...steps.flatMap((step) => FIELDS.map((field) => step[field]))]);
  return {
    value: tf.stack([...steps.map((step) => step.h), last], 1),
    gradFunc: (dy: Tensor, [kept, ...fields]: Tensor[]) =>
      backward(dy as Tensor3D, kept as Tensor2D, unflatten(fields), x.shape),
  };
});

function unflatten(fields: readonly Tensor[]): Step[] {
  return Array.from({ length: fields.length / FIELDS.length }, (_, step) => {
    const of = (_: string, k: number) => [FIELDS[k]!, fields[step * FIELDS.length + k]!];
    return Object.fromEntries(FIELDS.map(of)) as unknown as Step;
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
    steps.push({ joint, before, i, f, g, t, h, gates });
  }
  return { steps, last: c };
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
  steps: readonly Step[],
  [, , features]: Tensor3D['shape'],
): Tensor[] {
  const transposed: Tensor2D = tf.transpose(weights);
  const outer = unstackTime(dy);
  const units = dy.shape[2];
  let dc = outer.pop()!; // by the cell state behind the step
  let dh: Tensor2D = tf.zerosLike(dc); // by the hidden state behind the step, from later steps
  const dxs: Tensor2D[] = [];
  const dSums: Tensor2D[] = []; // by the sums that the gates squash
  for (const { before, i, f, g, t, h, gates } of [...steps].reverse()) {
    const o = tf.slice(gates, [0, 3 * units], [-1, units]);
    dh = tf.add(dh, outer.pop()!);
    dc = tf.add(dc, tf.mul(dh, tf.sub(o, tf.mul(h, t)))); // h t = o tanh²
    const slopes = tf.sub(gates, tf.square(gates));
    // By g it is 1 − g² = 4 s (1 − s).
    const factors = tf.mul(slopes, tf.concat([g, before, tf.mul(i, 4), t], 1));
    const dSum: Tensor2D = tf.mul(factors, tf.concat([dc, dc, dc, dh], 1));
    const dJoint: Tensor2D = tf.matMul(dSum, transposed);
    dxs.unshift(tf.slice(dJoint, [0, 0], [-1, features]));
    dh = tf.slice(dJoint, [0, features], [-1, units]);
    dc = tf.mul(dc, f);
    dSums.unshift(dSum);
  }
  const allSums = tf.concat(dSums);
  const joints = tf.concat(steps.map(({ joint }) => joint));
  const dWeights = tf.matMul(joints, allSums, true);
  return [tf.stack(dxs, 1), dWeights, tf.sum(allSums, 0), dh, dc];
}
