import { installGradients } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activate, testBackends } from './backends.js';
import { spread, stream } from './differences.js';

/** Images of few grey levels, as after a relu: most windows have several maxima. */
const levels = (size: number, next: () => number) =>
  Float32Array.from({ length: size }, () => Math.floor(next() * 3));

describe.each(testBackends)('ties of the maximum on %s', (backend) => {
  let uninstall: () => void;
  beforeAll(async () => {
    await activate(backend);
    uninstall = installGradients();
  });
  afterAll(() => uninstall());

  const pad = fc.constantFrom('same' as const, 'valid' as const);
  const pooling = fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 3 }),
    pad,
    fc.nat(999),
  );

  test('the second derivative of maxPool takes the maxima that the first one took', () => {
    fc.assert(
      fc.property(pooling, ([filter, stride, padding, seed]) => {
        tf.tidy(() => {
          const next = stream(seed);
          const x = tf.tensor4d(levels(50, next), [1, 5, 5, 2]);
          const pool = (t: tf.Tensor) => tf.maxPool(t as tf.Tensor4D, filter, stride, padding);
          const shape = pool(x).shape;
          const dy = tf.tensor(spread(tf.util.sizeFromShape(shape), -1, 1, next), shape);
          const v = tf.tensor4d(spread(50, -1, 1, next), [1, 5, 5, 2]);
          // <Jᵀ dy, v> is linear in dy, so its gradient J v must give the same number with dy.
          const bilinear = (d: tf.Tensor) => tf.sum(tf.mul(tf.grad(pool)(x, d), v));
          const jv = tf.grad(bilinear)(dy);
          const [direct] = bilinear(dy).dataSync();
          const [adjoint] = tf.sum(tf.mul(jv, dy)).dataSync();
          expect(Math.abs(direct! - adjoint!)).toBeLessThan(1e-4);
        });
      }),
      { numRuns: 40, seed: 42 },
    );
  });
});
