import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { data, expectAsOnCpu } from './harness.js';
import { onBackend } from './on-backend.js';

const size = (min: number, max: number) => fc.integer({ min, max });

/** Up to four axes, some longer than a block of eight columns, and any of them reduced. */
const reductions = fc
  .array(fc.oneof({ weight: 3, arbitrary: size(1, 5) }, size(7, 19)), {
    minLength: 1,
    maxLength: 4,
  })
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      axis: fc.oneof(
        size(0, shape.length).map((count) => [...Array(count).keys()].reverse()),
        fc.uniqueArray(size(-shape.length, shape.length - 1), {
          selector: (axis) => (axis + shape.length) % shape.length,
        }),
      ),
      keepDims: fc.boolean(),
      seed: fc.nat(),
    }),
  );

describe.each([tf.Sum, tf.Mean])('%s on wasm', (kernel) => {
  it('gives what the cpu gives, along any axes', async () => {
    await fc.assert(
      fc.asyncProperty(reductions, ({ shape, axis, keepDims, seed }) =>
        expectAsOnCpu('wasm', kernel, { x: data(shape, seed) }, { axis, keepDims }),
      ),
      { numRuns: 150, seed: 7 },
    );
  });

  it('keeps the dtype of a sum of integers', async () => {
    await onBackend('wasm', () => {
      const result = tf.sum(tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32'), 0);
      expect([result.dtype, ...result.dataSync()]).toEqual(['int32', 4, 6]);
      expect([...tf.mean(tf.tensor2d([1, 2, 2, 4], [2, 2], 'int32'), 0).dataSync()]).toEqual([
        1.5, 3,
      ]);
    });
  });
});
