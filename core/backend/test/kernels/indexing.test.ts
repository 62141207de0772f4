import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { data, expectAsOnCpu } from './harness.js';
import { onBackend } from './on-backend.js';

const size = (min: number, max: number) => fc.integer({ min, max });

interface GatherCase {
  readonly shape: readonly number[];
  readonly indices: readonly number[];
  readonly ids: readonly number[];
  readonly axis: number;
  readonly batchDims: number;
}

/** Tensors of up to four axes, indices of up to three, of which the first may be batches. */
const gatherCases: fc.Arbitrary<GatherCase> = fc
  .record({
    shape: fc.array(size(1, 5), { minLength: 1, maxLength: 3 }),
    row: fc.oneof(size(1, 4), size(31, 40)),
    more: fc.array(size(1, 4), { minLength: 1, maxLength: 2 }),
  })
  .chain(({ shape: lengths, row, more }) => {
    const shape = [...lengths, row];
    return fc.tuple(fc.constant(shape), size(0, shape.length - 1), fc.constant(more));
  })
  .chain(([shape, axis, more]) =>
    size(0, axis).chain((batchDims) => {
      const indices = [...shape.slice(0, batchDims), ...more];
      const count = tf.util.sizeFromShape(indices);
      const id = size(0, shape[axis]! - 1);
      return fc.record({
        shape: fc.constant(shape),
        indices: fc.constant(indices),
        ids: fc.array(id, { minLength: count, maxLength: count }),
        axis: fc.constantFrom(axis, axis - shape.length),
        batchDims: fc.constant(batchDims),
      });
    }),
  );

describe.each(['wasm', 'cpu'] as const)('gather on %s', (backend) => {
  it('gives what the cpu gives, also in batches', async () => {
    await fc.assert(
      fc.asyncProperty(gatherCases, fc.nat(), ({ shape, indices, ids, axis, batchDims }, seed) => {
        const inputs = {
          x: data(shape, seed),
          indices: { shape: indices, values: Int32Array.from(ids) },
        };
        return expectAsOnCpu(backend, tf.GatherV2, inputs, { axis, batchDims });
      }),
      { numRuns: 100, seed: 7 },
    );
  });

  it('keeps the dtype, takes no rows, and says which index is wrong', async () => {
    await onBackend(backend, () => {
      const flags = tf.gather(tf.tensor1d([true, false, true], 'bool'), [2, 1]);
      expect([flags.dtype, ...flags.dataSync()]).toEqual(['bool', 1, 0]);
      expect(tf.gather(tf.ones([3, 2]), tf.tensor1d([], 'int32')).shape).toEqual([0, 2]);
      expect(() => tf.gather(tf.ones([3, 2]), [0, 3])).toThrow(EspalierError);
      expect(() => tf.gather(tf.ones([3, 2]), [0, -1])).toThrow(/not in \[0, 2\].*-1/);
    });
  });
});

describe('oneHot on wasm', () => {
  it.each(['float32', 'int32', 'bool'] as const)(
    'gives what the cpu gives as %s',
    async (dtype) => {
      const cases = fc.tuple(fc.array(size(-1, 6), { maxLength: 9 }), size(2, 6));
      await fc.assert(
        fc.asyncProperty(cases, async ([ids, depth]) => {
          const compute = () => {
            const on = dtype === 'float32' ? 0.75 : 1;
            return tf.oneHot(tf.tensor1d(ids, 'int32'), depth, on, 0, dtype);
          };
          const expected = await onBackend('cpu', () => [...compute().dataSync()]);
          await onBackend('wasm', () => {
            const actual = compute();
            expect(actual.dtype).toBe(dtype);
            expect(actual.shape).toEqual([ids.length, depth]);
            expect([...actual.dataSync()]).toEqual(expected);
          });
        }),
        { numRuns: 20, seed: 7 },
      );
    },
  );
});

describe('cast on wasm', () => {
  const numbers = [0, -0, 0.5, -1, 1, 255, 256, 1e30, NaN];

  it('to bool asks whether a number is zero', async () => {
    await onBackend('wasm', () => {
      const flags = tf.cast(tf.tensor1d(numbers), 'bool');
      expect(flags.dtype).toBe('bool');
      expect([...flags.dataSync()]).toEqual([0, 0, 1, 1, 1, 1, 1, 1, 1]);
      expect([...tf.cast(tf.tensor1d([0, 256, -3], 'int32'), 'bool').dataSync()]).toEqual([
        0, 1, 1,
      ]);
    });
  });

  it('to other types cuts as before', async () => {
    await onBackend('wasm', () => {
      expect([...tf.cast(tf.tensor1d([0.9, -1.9]), 'int32').dataSync()]).toEqual([0, -1]);
      const flags = tf.tensor1d([true, false], 'bool');
      expect([...tf.cast(flags, 'float32').dataSync()]).toEqual([1, 0]);
    });
  });
});
