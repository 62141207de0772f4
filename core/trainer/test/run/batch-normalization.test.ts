import { Network } from '@espalier/core';
import { backendsUnderTest, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { registerReference } from '../../../backend/test/kernels/batch-norm-reference.js';

const { layers } = tfl;

interface Case {
  readonly norm?: object;
  /** Of one example, with the channels last. */
  readonly shape: readonly number[];
  readonly rows?: number;
  /** How often the layer is called in a run; default once. */
  readonly calls?: number;
}

/** Cases that the kernel of a backend takes. */
const taken: Readonly<Record<string, Case>> = {
  'of vectors': { shape: [3] },
  'of sequences': { shape: [4, 2] },
  'of images': { shape: [2, 3, 2], norm: { epsilon: 0.1, momentum: 0.8 } },
  'of one image': { shape: [3, 2, 2], rows: 1 },
  'by a positive axis': { shape: [2, 2, 3], norm: { axis: 3 } },
  'without a scale': { shape: [2, 2, 3], norm: { scale: false } },
  'without a centre': { shape: [4, 3], norm: { center: false } },
  'without both': { shape: [3], norm: { scale: false, center: false } },
  'that is called twice': { shape: [3], calls: 2 },
};

/** Cases that stay with the ops of tfjs-layers. */
const left: Readonly<Record<string, Case>> = {
  'of one vector': { shape: [3], rows: 1 },
  'along another axis': { shape: [4, 3], norm: { axis: 1 } },
  'that is frozen': { shape: [2, 2, 3], norm: { trainable: false } },
};

function modelOf({ norm = {}, shape, calls = 1 }: Case): LayersModel {
  const layer = layers.batchNormalization({ name: 'norm', ...norm });
  const input = tfl.input({ shape: [...shape], name: 'x' });
  let x = layers.dense({ name: 'before', units: shape.at(-1)! }).apply(input);
  for (let call = 0; call < calls; call++) {
    x = layers.activation({ activation: 'tanh' }).apply(layer.apply(x));
  }
  return tfl.model({ inputs: input, outputs: x as tfl.SymbolicTensor });
}

const waves = (shape: readonly number[], by: number) => {
  const size = tf.util.sizeFromShape([...shape]);
  const values = Float32Array.from({ length: size }, (_, i) => 1 + Math.sin(by * (i + 1)));
  return tf.tensor(values, [...shape]);
};

/** Value, gradient and Hessian times gradient of a function of what the run gives and of what it writes. */
function differentiate(one: Case): number[][] {
  const model = modelOf(one);
  const network = new Network(model);
  const kept: tf.Tensor[] = [];
  const made = tf.tidy(() => {
    const x = waves([one.rows ?? 4, ...one.shape], 1.9);
    const { parameters } = network;
    const point = parameters.map(({ variable }, i) => waves(shapeOf(variable), 0.7 + i / 9));
    const value = (...at: tf.Tensor[]) => {
      const writes = new Map<string, tf.Tensor>();
      const substitute = new Map(parameters.map(({ path }, i) => [path, at[i]!]));
      const { outputs } = network.execute({ x }, { training: true, substitute, writes });
      const [y] = Object.values(outputs);
      kept.push(...writes.values());
      const sizes = [...writes.values()].map((each) => tf.sum(tf.square(each)));
      return tf.addN([tf.sum(tf.mul(tf.square(y!), waves(y!.shape, 1.1))), ...sizes]);
    };
    const size = (...at: tf.Tensor[]) =>
      tf.addN(gradientsOf(value, at).map((gradient) => tf.sum(tf.square(gradient))));
    const all = [value(...point), ...gradientsOf(value, point), ...gradientsOf(size, point)];
    return all.map((each) => [...each.dataSync()]);
  });
  tf.dispose(kept);
  model.weights.forEach((weight) => weight.dispose());
  return made;
}

const shapeOf = (variable: tfl.LayerVariable) => variable.shape as number[];

/** Zeros where there is no path, as from moving statistics that the run writes only. */
function gradientsOf(f: (...at: tf.Tensor[]) => tf.Tensor, at: tf.Tensor[]): tf.Tensor[] {
  const { grads } = tf.engine().gradients(() => f(...at), at, undefined, true);
  return at.map((each, i) => grads[i] ?? tf.zerosLike(each));
}

/** Counts runs of the kernel in use. */
function countRuns<T>(fn: () => T): readonly [made: T, runs: number] {
  const kernel = tf.getKernel('BatchNormTraining', tf.getBackend());
  let runs = 0;
  const kernelFunc: tf.KernelFunc = (given) => {
    runs += 1;
    return kernel.kernelFunc(given);
  };
  tf.unregisterKernel(kernel.kernelName, kernel.backendName);
  tf.registerKernel({ ...kernel, kernelFunc });
  try {
    return [fn(), runs];
  } finally {
    tf.unregisterKernel(kernel.kernelName, kernel.backendName);
    tf.registerKernel(kernel);
  }
}

/** To float32's rounding, which a second derivative of four rows makes larger. */
function expectAlike(found: number[][], expected: number[][]): void {
  const largest = (values: number[]) => Math.max(...values.map(Math.abs));
  const errors = expected.map(
    (values, i) =>
      largest(values.map((value, k) => found[i]![k]! - value)) / Math.max(1, largest(values)),
  );
  expect(largest(errors)).toBeLessThan(3e-4);
}

describe.each(backendsUnderTest().filter((name) => name !== 'wasm'))('on %s', (backend) => {
  const cases = Object.entries({ ...taken, ...left });
  const composed = new Map<string, number[][]>();
  beforeAll(async () => {
    await onBackend('cpu');
    cases.forEach(([name, one]) => composed.set(name, differentiate(one)));
    await onBackend(backend);
  });

  test('outside of a run the layer computes as tfjs does', () => {
    const unregister = registerReference(tf.getBackend());
    const model = modelOf({ shape: [3] });
    try {
      const [, runs] = countRuns(() =>
        tf.tidy(() => model.apply(waves([4, 3], 1), { training: true }) as tf.Tensor),
      );
      expect(runs).toBe(0);
    } finally {
      unregister();
      model.weights.forEach((weight) => weight.dispose());
    }
  });

  test.each(cases)(
    'a batch normalization %s gives what it gave, twice differentiated',
    (name, one) => {
      const unregister = registerReference(tf.getBackend());
      try {
        const before = tf.memory().numTensors;
        const [found, runs] = countRuns(() => differentiate(one));
        expect(runs > 0).toBe(name in taken);
        expectAlike(found, composed.get(name)!);
        expect(tf.memory().numTensors).toBe(before);
      } finally {
        unregister();
      }
    },
  );
});
