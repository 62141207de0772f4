import { BlockLowRankDense, topK, topKSearch } from '@espalier/plugin-block-low-rank';
import type { Block, TopK } from '@espalier/plugin-block-low-rank';
import { backendsUnderTest, onBackend } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { permutation, randomMatrix } from './models.js';
import { dot, product, rowsOf } from './reference.js';

const COLUMNS = 4;

/** Small whole numbers: sums are exact in any order, and equal scores are many. */
interface Problem {
  readonly blocks: readonly Block[];
  readonly matrices: readonly Float32Array[];
  readonly basis: Float32Array;
  readonly bias: Float32Array | undefined;
  readonly index: Int32Array | undefined;
  readonly x: Float32Array;
  readonly k: number;
}

const whole = (length: number, size = 3) =>
  fc
    .array(fc.integer({ min: -size, max: size }), { minLength: length, maxLength: length })
    .map((numbers) => Float32Array.from(numbers));

const block = fc.record({
  rows: fc.integer({ min: 1, max: 20 }),
  rank: fc.option(fc.integer({ min: 1, max: 3 })),
  // Later blocks are often those of short rows.
  scale: fc.constantFrom(1, 1, 0.25, 2 ** -6),
});

const problem = fc
  .record({
    shapes: fc.array(block, { minLength: 1, maxLength: 5 }),
    batch: fc.integer({ min: 1, max: 3 }),
    seed: fc.option(fc.nat()),
    biased: fc.boolean(),
  })
  .chain(({ shapes, batch, seed, biased }) => {
    const words = shapes.reduce((sum, { rows }) => sum + rows, 0);
    const ranks = shapes.reduce((sum, { rank }) => sum + (rank ?? 0), 0);
    return fc.record<Problem>({
      blocks: fc.constant(shapes.map(({ rows, rank }) => ({ rows, rank }))),
      matrices: fc.tuple(
        ...shapes.map(({ rows, rank, scale }) =>
          whole(rows * (rank ?? COLUMNS)).map((numbers) => numbers.map((value) => value * scale)),
        ),
      ),
      basis: whole(ranks * COLUMNS),
      bias: biased ? whole(words, 6) : fc.constant(undefined),
      index: fc.constant(seed === null ? undefined : permutation(words, seed)),
      x: whole(batch * COLUMNS),
      k: fc.integer({ min: 1, max: Math.min(words, 12) }),
    });
  });

function layerOf({ blocks, matrices, basis, bias, index }: Omit<Problem, 'x' | 'k'>) {
  const useBias = bias !== undefined;
  const layer = new BlockLowRankDense({ blocks, permuted: index !== undefined, useBias });
  layer.build([null, COLUMNS]);
  const values = layer.weights.map(({ originalName, shape }) => {
    const name = originalName.split('/').at(-1)!;
    if (name === 'index') return tf.tensor1d(index!, 'int32');
    const named = { bias, basis }[name] ?? matrices[Number(name.slice(1))]!;
    return tf.tensor(named, shape as number[]);
  });
  layer.setWeights(values);
  tf.dispose(values);
  return layer;
}

/** Every score by its definition, all sorted. */
function slowly({ blocks, matrices, basis, bias, index, x, k }: Problem): TopK {
  const shared = rowsOf(basis, COLUMNS);
  const matrix = blocks.flatMap(({ rank }, p) => {
    const rows = rowsOf(matrices[p]!, rank ?? COLUMNS);
    return rank === null ? rows : product(rows, shared.splice(0, rank));
  });
  const words = Array.from(matrix, (_, position) => (index ? index.indexOf(position) : position));
  const best = rowsOf(x, COLUMNS).map((row) => {
    const scores = matrix.map((each, position) => dot(each, row) + (bias?.[words[position]!] ?? 0));
    const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
    return order.slice(0, k).map((position) => [scores[position]!, words[position]!] as const);
  });
  const flat = best.flat();
  return {
    k,
    values: Float32Array.from(flat, ([value]) => value),
    indices: Int32Array.from(flat, ([, word]) => word),
  };
}

async function bothWays(layer: BlockLowRankDense, x: tf.Tensor2D, k: number): Promise<TopK[]> {
  const search = await topKSearch(layer);
  const found = [await search.find(x, k), await topK(layer, x, k)];
  search.dispose();
  return found;
}

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('the best are those of sorting all scores, equal ones in the order of their rows', async () => {
    await fc.assert(
      fc.asyncProperty(problem, async (given) => {
        const layer = layerOf(given);
        const x = tf.tensor2d(given.x, [given.x.length / COLUMNS, COLUMNS]);
        const expected = slowly(given);
        for (const found of await bothWays(layer, x, given.k)) {
          expect(found.indices).toEqual(expected.indices);
          // Sums may be −0.
          expect([...found.values].map((value) => value + 0)).toEqual(
            [...expected.values].map((value) => value + 0),
          );
        }
        tf.dispose([x, ...layer.weights.map((weight) => weight.read())]);
      }),
      { numRuns: 150 },
    );
  });

  test('no rounding hides a row whose score is the largest that its length allows', async () => {
    // Rank 1: the length of a row times that of the left factor is the score itself.
    const finite = fc.float({ min: Math.fround(0.001), max: 1000, noNaN: true });
    const given = fc.record({
      rows: fc.array(finite, { minLength: 2, maxLength: 30 }),
      x: finite,
      bias: fc.float({ min: -1000, max: 1000, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(given, async ({ rows, x, bias }) => {
        // Every row is a block, each next one barely better.
        const sorted = Float32Array.from(rows).sort();
        const layer = layerOf({
          blocks: rows.map(() => ({ rows: 1, rank: 1 })),
          matrices: [...sorted].map((row) => Float32Array.of(row)),
          basis: Float32Array.from({ length: rows.length * COLUMNS }, (_, i) =>
            i % COLUMNS === 0 ? 1 : 0,
          ),
          bias: new Float32Array(rows.length).fill(bias),
          index: undefined,
        });
        const input = tf.tensor2d([x, 0, 0, 0], [1, COLUMNS]);
        const scores = await (layer.call(input) as tf.Tensor2D).data();
        const best = Math.max(...scores);
        const [found] = await bothWays(layer, input, 1);
        // One of the two may round product and sum together, the other each by itself.
        const slack = 1e-6 * (Math.abs(best - bias) + Math.abs(bias));
        expect(Math.abs(found!.values[0]! - best)).toBeLessThanOrEqual(slack);
        expect(best - scores[found!.indices[0]!]!).toBeLessThanOrEqual(slack);
        tf.dispose([input, ...layer.weights.map((weight) => weight.read())]);
      }),
      { numRuns: 50 },
    );
  });

  test('a search computes no block that cannot hold one of the best', async () => {
    const short = { rows: 30, rank: 2 };
    const layer = layerOf({
      blocks: [{ rows: 20, rank: null }, short, short],
      matrices: [
        randomMatrix(20, COLUMNS, 1),
        ...[2, 3].map((seed) => randomMatrix(30, 2, seed).map((value) => value / 1000)),
      ],
      basis: randomMatrix(4, COLUMNS, 4),
      bias: new Float32Array(80),
      index: undefined,
    });
    const x = tf.tensor2d(randomMatrix(2, COLUMNS, 5), [2, COLUMNS]);
    const search = await topKSearch(layer);
    const products = async (k: number) => {
      const { kernels } = await tf.profile(async () => {
        await search.find(x, k);
        return tf.zeros([1]);
      });
      return kernels.filter(({ name }) => name === 'BatchMatMul').length;
    };
    expect(await products(3)).toBe(2); // with the basis, and with the first block
    expect(await products(21)).toBe(4);
    search.dispose();
  });

  describe('numbers that are none', () => {
    const blocks = [
      { rows: 3, rank: null },
      { rows: 4, rank: 1 },
      { rows: 3, rank: 1 },
    ];
    const ones = {
      blocks,
      matrices: [12, 4, 3].map((size) => new Float32Array(size).fill(1)),
      basis: new Float32Array(8).fill(2 ** -10),
      bias: Float32Array.from({ length: 10 }, (_, i) => -i / 16),
      index: undefined,
    };

    test('a row of NaN is not among the best and hides no other of its block', async () => {
      const broken = Float32Array.of(NaN, 1, 2 ** 20, 1);
      const layer = layerOf({ ...ones, matrices: [ones.matrices[0]!, broken, ones.matrices[2]!] });
      for (const { indices } of await bothWays(layer, tf.ones([1, COLUMNS]), 4)) {
        expect([...indices]).toEqual([5, 0, 1, 2]);
      }
    });

    test('inputs of NaN find nothing, those beside them what they find alone', async () => {
      const layer = layerOf(ones);
      const x = tf.tensor2d([NaN, 1, 1, 1, 1, 1, 1, 1], [2, COLUMNS]);
      for (const { values, indices } of await bothWays(layer, x, 2)) {
        expect([...indices]).toEqual([-1, -1, 0, 1]);
        expect([...values]).toEqual([-Infinity, -Infinity, 4, 4 - 1 / 16]);
      }
    });

    test('a bias of −Infinity comes last, but comes', async () => {
      const bias = ones.bias.map((value, i) => (i % 2 ? -Infinity : value));
      const layer = layerOf({ ...ones, bias });
      for (const { indices } of await bothWays(layer, tf.ones([1, COLUMNS]), 10)) {
        expect([...indices]).toEqual([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]);
      }
    });
  });
});
