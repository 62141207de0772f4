import { createStorage } from '@espalier/compression';
import { pruneMatrix } from '@espalier/plugin-prune';
import { backendsUnderTest, directional, liveTensors, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { mixedMatrix } from './support.js';

const [ROWS, COLUMNS, KEPT] = [9, 37, 120];
const IDS = [8, 0, 3, 3, 5];
const KERNELS = ['EspalierSparseRows', 'EspalierSparseValues'];

/** Σ (cubes of the rows that `IDS` asks for, each number with a weight of its own). */
function setting() {
  const { weights } = pruneMatrix(mixedMatrix(ROWS, COLUMNS, 3), KEPT);
  const storage = createStorage('m', [ROWS, COLUMNS], { kind: 'sparse', kept: KEPT });
  const decode = (values: Tensor) => {
    const read = (name: string) =>
      name === 'm_values' ? values : tf.tensor1d(weights[name.slice(2) as 'bitmap'], 'int32');
    return storage.gather(read, tf.tensor1d(IDS, 'int32'));
  };
  const loss = (values: Tensor): Scalar => {
    const rows = decode(values);
    const scale = tf.reshape(tf.cos(tf.range(0, rows.size, 1)), rows.shape);
    return tf.sum(tf.mul(tf.mul(rows, tf.square(rows)), scale)) as Scalar;
  };
  return { loss, values: () => tf.tensor1d(weights.values) };
}

describe.each([...backendsUnderTest()])('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('gradients reach the kept numbers, those of repeated rows summed', () => {
    const before = liveTensors();
    tf.tidy(() => {
      const { loss, values } = setting();
      const x = values();
      const gradient = tf.grad(loss)(x);
      const [numeric, analytic] = directional(loss as (...xs: Tensor[]) => Scalar, [x], [gradient]);
      expect(Math.abs(analytic)).toBeGreaterThan(0.05);
      expect(analytic).toBeCloseTo(numeric, 3);
    });
    expect(liveTensors()).toBe(before);
  });

  test('and gradients of gradients', () =>
    tf.tidy(() => {
      const { loss, values } = setting();
      const slope = (x: Tensor): Scalar => tf.sum(tf.square(tf.grad(loss)(x))) as Scalar;
      const x = values();
      const [numeric, analytic] = directional(
        slope as (...xs: Tensor[]) => Scalar,
        [x],
        [tf.grad(slope)(x)],
      );
      expect(Math.abs(analytic)).toBeGreaterThan(0.05);
      expect(Math.abs(analytic / numeric - 1)).toBeLessThan(1e-2);
    }));
});

test('the composition of other backends gives the same numbers and gradients', async () => {
  await onBackend('cpu');
  const { loss, values } = setting();
  const both = () =>
    tf.tidy(() => {
      const x = values();
      const { value, grad } = tf.valueAndGrad(loss)(x as Tensor1D);
      return [...value.dataSync(), ...grad.dataSync()];
    });
  const inMemory = both();
  const own = KERNELS.map((name) => tf.getKernel(name, 'cpu') as tf.KernelConfig);
  const swap = (kernels: readonly tf.KernelConfig[]) => {
    for (const { kernelName, kernelFunc } of kernels) {
      tf.unregisterKernel(kernelName, 'cpu');
      tf.registerKernel({ kernelName, backendName: 'cpu', kernelFunc });
    }
  };
  try {
    swap(KERNELS.map((name) => tf.getKernel(name, 'webgl') as tf.KernelConfig));
    const composed = both();
    composed.forEach((value, i) => expect(value).toBeCloseTo(inMemory[i]!, 5));
  } finally {
    swap(own);
  }
});
