import { installKernels } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { data, expectAsOnCpu } from './harness.js';

interface Product {
  readonly batches: readonly [a: readonly number[], b: readonly number[]];
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly seed: number;
}

function operands(p: Product) {
  const a = p.transposeA ? [p.inner, p.rows] : [p.rows, p.inner];
  const b = p.transposeB ? [p.columns, p.inner] : [p.inner, p.columns];
  return {
    a: data([...p.batches[0], ...a], p.seed),
    b: data([...p.batches[1], ...b], p.seed + 1),
  };
}

/** From products of a few numbers to some that XNNPACK is worth setting up for. */
const products = (batches: fc.Arbitrary<Product['batches']>): fc.Arbitrary<Product> => {
  const length = fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 20, max: 60 }));
  return fc.record({
    batches,
    rows: length,
    inner: length,
    columns: length,
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
    seed: fc.nat(),
  });
};

const transposes = ({ transposeA, transposeB }: Product) => ({ transposeA, transposeB });
const runs = { numRuns: 80, seed: 7 };

describe('matMul', () => {
  it('gives what the cpu gives on wasm, transposed and batched', async () => {
    const batches = fc.constantFrom<Product['batches']>(
      [[], []],
      [[1], [1]],
      [[3], [3]],
      [
        [2, 2],
        [2, 2],
      ],
      [[3], [1]],
      [[1], [2]],
      [[2, 2], []],
    );
    await fc.assert(
      fc.asyncProperty(products(batches), (p) =>
        expectAsOnCpu('wasm', tf.BatchMatMul, operands(p), transposes(p)),
      ),
      runs,
    );
  });

  it.each(['wasm', 'cpu'] as const)(
    'pairs the right matrices of two batches on %s',
    async (backend) => {
      const batches = fc.constantFrom<Product['batches']>(
        [
          [2, 3],
          [2, 1],
        ],
        [
          [2, 1],
          [1, 3],
        ],
        [[3, 1], [2]],
      );
      await fc.assert(
        fc.asyncProperty(products(batches), async (p) => {
          const { a, b } = operands(p);
          const uninstall = installKernels(backend);
          await tf.setBackend(backend);
          const worst = tf.tidy(() => {
            const [x, y] = [a, b].map((d) => tf.tensor(d.values, [...d.shape])) as [
              tf.Tensor,
              tf.Tensor,
            ];
            const actual = tf.matMul(x, y, p.transposeA, p.transposeB);
            return tf.max(tf.abs(tf.sub(actual, slowMatMul(x, y, p))));
          });
          expect((await worst.data())[0]).toBeLessThan(1e-4);
          worst.dispose();
          uninstall();
        }),
        { ...runs, numRuns: 30 },
      );
    },
  );

  it('has an error for integers, as before', async () => {
    await tf.setBackend('wasm');
    const uninstall = installKernels('wasm');
    const x = tf.ones([40, 40], 'int32');
    expect(() => tf.matMul(x, x, true)).toThrow('not yet supported');
    x.dispose();
    uninstall();
  });
});

/** The product as a sum over a broadcast axis. */
function slowMatMul(a: tf.Tensor, b: tf.Tensor, { transposeA, transposeB }: Product): tf.Tensor {
  const swap = (x: tf.Tensor) =>
    tf.transpose(x, [...Array(x.rank - 2).keys(), x.rank - 1, x.rank - 2]);
  const left = tf.expandDims(transposeA ? swap(a) : a, -1);
  const right = tf.expandDims(transposeB ? swap(b) : b, -3);
  return tf.sum(tf.mul(left, right), -2);
}

describe('the fused matMul on wasm', () => {
  it('gives what the cpu gives, with bias and activation', async () => {
    const batches = fc.constantFrom<Product['batches']>([[1], [1]], [[2], [2]]);
    const activation = fc.constantFrom('linear', 'relu', 'elu', 'sigmoid', 'leakyrelu');
    await fc.assert(
      fc.asyncProperty(products(batches), activation, fc.boolean(), (p, activation, biased) => {
        const bias = biased ? data([p.columns], p.seed + 2) : undefined;
        const attrs = { ...transposes(p), activation, leakyreluAlpha: 0.3 };
        return expectAsOnCpu('wasm', tf._FusedMatMul, { ...operands(p), bias }, attrs);
      }),
      runs,
    );
  });
});
