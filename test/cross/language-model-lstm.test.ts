import { keyedRng } from '@espalier/core';
import { agreement, backendsUnderTest, directional, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { lstmSequence } from '../../examples/language-model/lstm-sequence.js';

const [BATCH, TIME, FEATURES, UNITS] = [3, 5, 4, 6];

/** x, kernel, recurrent kernel, bias, h, c. */
const SHAPES = [
  [BATCH, TIME, FEATURES],
  [FEATURES, 4 * UNITS],
  [UNITS, 4 * UNITS],
  [4 * UNITS],
  [BATCH, UNITS],
  [BATCH, UNITS],
];

function random(key: number, shape: readonly number[]): Tensor {
  const draw = keyedRng(0, 'lstm', key);
  const values = Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, () => {
    return 2 * draw() - 1;
  });
  return tf.tensor(values, [...shape]);
}

const operands = () => SHAPES.map((shape, key) => random(key, shape));

function states(...[x, kernel, recurrentKernel, bias, h, c]: Tensor[]): Tensor3D {
  return lstmSequence({
    x: x as Tensor3D,
    kernel: kernel as Tensor2D,
    recurrentKernel: recurrentKernel as Tensor2D,
    bias: bias as Tensor1D,
    h: h as Tensor2D,
    c: c as Tensor2D,
  });
}

/** tfjs-layers' LSTM as the same function. */
function reference(...[x, kernel, recurrentKernel, bias, h, c]: Tensor[]): Tensor3D {
  const cell = tfl.layers.lstmCell({ units: UNITS, recurrentActivation: 'sigmoid' });
  cell.build([BATCH, FEATURES]);
  cell.setWeights([kernel!, recurrentKernel!, bias!]);
  let state = [h!, c!];
  const hidden = tf.unstack(x!, 1).map((input) => {
    const [output, ...next] = cell.call([input, ...state], {}) as Tensor[];
    state = next;
    return output!;
  });
  return tf.stack([...hidden, state[1]!], 1) as Tensor3D;
}

/** Depends on each state in its own way. */
function scalar(f: typeof states) {
  return (...xs: Tensor[]): Scalar => {
    const all = f(...xs);
    return tf.sum(tf.mul(all, random(9, all.shape)));
  };
}

describe.each(backendsUnderTest())('lstmSequence on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('gives the states of the LSTM cell of tfjs-layers', () => {
    const [got, wanted] = [states, reference].map((f) => f(...operands()).dataSync());
    expect(agreement([got!], [wanted!]).relativeError).toBeLessThan(1e-6);
  });

  test('its gradients by input, weights and first states agree with finite differences', () => {
    const xs = operands();
    const gradients = tf.grads(scalar(states))(xs);
    xs.forEach((_, k) => {
      const alone = (x: Tensor) => scalar(states)(...xs.map((each, i) => (i === k ? x : each)));
      const [numeric, analytic] = directional(alone, [xs[k]!], [gradients[k]!]);
      expect(Math.abs(numeric - analytic)).toBeLessThan(2e-3 * Math.max(1, Math.abs(numeric)));
    });
  });

  test('leaves nothing behind but its result', () => {
    const xs = operands();
    const before = tf.memory().numTensors;
    tf.dispose(tf.tidy(() => tf.grads(scalar(states))(xs)));
    expect(tf.memory().numTensors).toBe(before);
  });
});
