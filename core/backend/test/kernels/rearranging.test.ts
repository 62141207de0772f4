import { installKernels } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { data, expectAsOnCpu } from './harness.js';

const size = (min: number, max: number) => fc.integer({ min, max });

describe('transpose on wasm', () => {
  it('gives what the cpu gives for every permutation', async () => {
    const cases = fc
      .array(size(1, 6), { minLength: 1, maxLength: 5 })
      .chain((shape) =>
        fc.tuple(
          fc.constant(shape),
          fc.shuffledSubarray([...shape.keys()], { minLength: shape.length }),
        ),
      );
    await fc.assert(
      fc.asyncProperty(cases, fc.nat(), ([shape, perm], seed) =>
        expectAsOnCpu('wasm', tf.Transpose, { x: data(shape, seed) }, { perm }),
      ),
      { numRuns: 60, seed: 7 },
    );
  });

  it.each([
    [
      [256, 40],
      [1, 0],
    ],
    [
      [512, 17],
      [1, 0],
    ],
    [
      [256, 15],
      [1, 0],
    ],
    [
      [8, 64, 21],
      [2, 0, 1],
    ],
    [
      [256, 3, 7],
      [1, 2, 0],
    ],
    [
      [2, 256, 18],
      [0, 2, 1],
    ],
  ])('gives what the cpu gives in strips: %j by %j', async (shape, perm) => {
    await expectAsOnCpu('wasm', tf.Transpose, { x: data(shape, 5) }, { perm });
  });
});

describe('slice and split on wasm', () => {
  const axes = fc.array(
    fc.tuple(
      size(1, 6),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    ),
    { minLength: 1, maxLength: 5 },
  );

  it('slices as the cpu does, whole axes and -1 included', async () => {
    await fc.assert(
      fc.asyncProperty(axes, fc.nat(), fc.boolean(), (each, seed, rest) => {
        const begin = each.map(([n, at]) => Math.floor(at * (n - 1)));
        const taken = each.map(([n, , share], i) => {
          const left = n - begin[i]!;
          return rest && share > 0.5 ? -1 : Math.ceil(share * left);
        });
        const shape = each.map(([n]) => n);
        return expectAsOnCpu('wasm', tf.Slice, { x: data(shape, seed) }, { begin, size: taken });
      }),
      { numRuns: 80, seed: 7 },
    );
  });

  it('splits into what it is concatenated from', async () => {
    const uninstall = installKernels('wasm');
    await tf.setBackend('wasm');
    const parts = [2, 5, 1].map((n, i) => tf.tensor3d(data([3, n, 2], i).values, [3, n, 2]));
    const found = tf.split(tf.concat(parts, 1), [2, 5, 1], 1);
    for (const [i, part] of found.entries()) {
      expect(part.shape).toEqual(parts[i]!.shape);
      expect(await part.data()).toEqual(await parts[i]!.data());
    }
    expect(tf.split(parts[1]!, 5, 1).map(({ shape }) => shape)).toEqual(Array(5).fill([3, 1, 2]));
    uninstall();
  });
});

describe('tile on wasm', () => {
  it('gives what the cpu gives', async () => {
    const cases = fc.array(fc.tuple(size(1, 4), size(1, 5)), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(cases, fc.nat(), (axes, seed) => {
        const [shape, reps] = [axes.map(([n]) => n), axes.map(([, times]) => times)];
        return expectAsOnCpu('wasm', tf.Tile, { x: data(shape, seed) }, { reps });
      }),
      { numRuns: 60, seed: 7 },
    );
  });
});

describe.each(['wasm', 'cpu'] as const)('unsortedSegmentSum on %s', (backend) => {
  it('gives what the cpu gives, also for ids that are out of range', async () => {
    const cases = fc.record({
      segments: size(1, 6),
      row: fc.array(size(1, 4), { maxLength: 2 }),
      ids: fc.array(size(-2, 8), { minLength: 1, maxLength: 12 }),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(cases, ({ segments, row, ids, seed }) => {
        const x = data([ids.length, ...row], seed);
        const segmentIds = { shape: [ids.length], values: Int32Array.from(ids) };
        return expectAsOnCpu(
          backend,
          tf.UnsortedSegmentSum,
          { x, segmentIds },
          { numSegments: segments },
        );
      }),
      { numRuns: 60, seed: 7 },
    );
  });
});
