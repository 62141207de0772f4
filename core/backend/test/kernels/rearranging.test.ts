import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, it } from 'vitest';
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
