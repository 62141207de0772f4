import type { Matrix, RefineRequest, VocabPartition } from '@espalier/compression';
import { keyedRng } from '@espalier/core';
import { refine } from '@espalier/plugin-vocab-partition';
import type { RefineRound } from '@espalier/plugin-vocab-partition';
import { backendsUnderTest, liveTensors, onBackend } from '@espalier/testkit';
import { EigenvalueDecomposition, Matrix as Dense } from 'ml-matrix';
import { beforeAll, describe, expect, test } from 'vitest';

/** Words of which each lies in one of some planes, up to noise. */
function inPlanes(
  words: number,
  columns: number,
  {
    planes,
    rank,
    noise,
  }: { readonly planes: number; readonly rank: number; readonly noise: number },
): { readonly matrix: Matrix; readonly plane: Int32Array } {
  const draw = keyedRng(3, 'planes');
  const signed = () => 2 * draw() - 1;
  const bases = Array.from({ length: planes * rank * columns }, signed);
  const plane = Int32Array.from({ length: words }, () => Math.floor(draw() * planes));
  const data = new Float32Array(words * columns);
  plane.forEach((p, word) => {
    for (let k = 0; k < rank; k++) {
      const along = signed();
      for (let j = 0; j < columns; j++) {
        data[word * columns + j]! += along * bases[(p * rank + k) * columns + j]!;
      }
    }
    for (let j = 0; j < columns; j++) data[word * columns + j]! += noise * signed();
  });
  return { matrix: { data, rows: words, columns }, plane };
}

function inOrder(sizes: readonly number[]): VocabPartition {
  const words = sizes.reduce((a, b) => a + b, 0);
  return { order: Int32Array.from({ length: words }, (_, word) => word), sizes };
}

function blocksOf({ order, sizes }: VocabPartition): number[][] {
  let begin = 0;
  return sizes.map((size) => [...order.subarray(begin, (begin += size))]);
}

/** Zipf's law, steep enough that a few words weigh most. */
const zipf = (words: number) => Float64Array.from({ length: words }, (_, i) => 1000 / (i + 1));

/** Σ w ‖a − a V Vᵀ‖² of all blocks in float64, V from a full eigendecomposition. */
function slowError({ matrix, weights, ranks }: RefineRequest, partition: VocabPartition): number {
  const { data, columns } = matrix;
  const perBlock = blocksOf(partition).map((words, p) => {
    const rank = ranks[p]!;
    if (rank === null) return 0;
    const moments = Dense.zeros(columns, columns);
    for (const word of words) {
      const row = Dense.rowVector(data.subarray(word * columns, (word + 1) * columns));
      moments.add(row.transpose().mmul(row).mul(weights[word]!));
    }
    const values = new EigenvalueDecomposition(moments, { assumeSymmetric: true }).realEigenvalues;
    const falling = [...values].sort((a, b) => b - a);
    return falling.slice(rank).reduce((a, b) => a + Math.max(0, b), 0);
  });
  return perBlock.reduce((a, b) => a + b, 0);
}

function numbersOf({ sizes }: VocabPartition, { ranks, matrix }: RefineRequest): number {
  return sizes.reduce((sum, size, p) => sum + size * (ranks[p] ?? matrix.columns), 0);
}

async function refined(request: RefineRequest, options: Parameters<typeof refine>[1] = {}) {
  const rounds: RefineRound[] = [];
  const onRound = (round: RefineRound) => void rounds.push(round);
  return { partition: await refine(request, { ...options, onRound }), rounds };
}

const WORDS = 240;
const noisy = inPlanes(WORDS, 12, { planes: 4, rank: 3, noise: 0.05 });
const REQUESTS: Readonly<Record<string, RefineRequest>> = {
  'equal ranks': {
    matrix: noisy.matrix,
    partition: inOrder([60, 60, 60, 60]),
    weights: zipf(WORDS),
    ranks: [3, 3, 3, 3],
  },
  'falling ranks': {
    matrix: noisy.matrix,
    partition: inOrder([20, 60, 160]),
    weights: zipf(WORDS),
    ranks: [6, 3, 1],
  },
  'a dense block': {
    matrix: noisy.matrix,
    partition: inOrder([10, 60, 170]),
    weights: zipf(WORDS),
    ranks: [null, 3, 2],
  },
  'equal weights': {
    matrix: noisy.matrix,
    partition: inOrder([20, 60, 160]),
    weights: new Float64Array(WORDS).fill(1),
    ranks: [6, 3, 1],
  },
  'weights that are zero': {
    matrix: noisy.matrix,
    partition: inOrder([80, 80, 80]),
    weights: zipf(WORDS).map((weight, word) => (word < 120 ? weight : 0)),
    ranks: [3, 2, 1],
  },
};

describe.each([...backendsUnderTest()])('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  describe.each(Object.entries(REQUESTS))('%s', (_, request) => {
    test('leaves a permutation, no block below its rank, no more numbers than before', async () => {
      const { partition } = await refined(request);
      expect([...partition.order].sort((a, b) => a - b)).toEqual([...inOrder([WORDS]).order]);
      expect(partition.sizes.reduce((a, b) => a + b, 0)).toBe(WORDS);
      partition.sizes.forEach((size, p) => {
        expect(size).toBeGreaterThanOrEqual(request.ranks[p] ?? 1);
      });
      expect(numbersOf(partition, request)).toBeLessThanOrEqual(
        numbersOf(request.partition, request),
      );
    });

    test('the error falls from round to round, and is that of a float64 reference', async () => {
      const { partition, rounds } = await refined(request);
      expect(rounds.length).toBeGreaterThan(1);
      const errors = [slowError(request, request.partition), ...rounds.map(({ error }) => error)];
      errors.slice(1).forEach((error, i) => expect(error).toBeLessThan(errors[i]!));
      const slow = slowError(request, partition);
      expect(Math.abs(errors.at(-1)! - slow)).toBeLessThanOrEqual(1e-4 * slow);
    });

    test('words of a block keep the order that they came in', async () => {
      for (const words of blocksOf((await refined(request)).partition)) {
        expect(words).toEqual([...words].sort((a, b) => a - b));
      }
    });

    test('gives the same again and leaves no tensor', async () => {
      const first = await refine(request);
      const before = liveTensors();
      expect(await refine(request)).toEqual(first);
      expect(liveTensors()).toBe(before);
    });
  });

  test('finds the planes that words were drawn from', async () => {
    const { matrix, plane } = inPlanes(300, 10, { planes: 2, rank: 2, noise: 0 });
    // Three words of four start in the block of their plane.
    const start = plane.map((p, word) => (word % 4 === 0 ? 1 - p : p));
    const words = [...start.keys()];
    const parts = [0, 1].map((p) => words.filter((word) => start[word] === p));
    const partition = {
      order: Int32Array.from(parts.flat()),
      sizes: parts.map(({ length }) => length),
    };
    const weights = new Float64Array(300).fill(1);
    const request = { matrix, partition, weights, ranks: [2, 2] };
    const { partition: found } = await refined(request, { fraction: 0.5, minCandidates: 1 });
    const misplaced = blocksOf(found).map((block, p) => block.filter((word) => plane[word] !== p));
    expect(misplaced.flat()).toEqual([]);
    expect(slowError(request, found)).toBeLessThan(1e-6 * slowError(request, partition));
  });
});

describe('when it stops', () => {
  beforeAll(() => onBackend('cpu'));
  const request = REQUESTS['equal ranks']!;

  test('after so many rounds', async () => {
    expect((await refined(request, { maxRounds: 2 })).rounds.map(({ round }) => round)).toEqual([
      1, 2,
    ]);
  });

  test('where too few words lie better elsewhere', async () => {
    const { partition, rounds } = await refined(request, { minCandidates: WORDS });
    expect(rounds).toEqual([]);
    expect(partition).toEqual(request.partition);
  });

  test('a round moves the part of the candidates that was asked for', async () => {
    const { rounds } = await refined(request, { fraction: 0.25, maxRounds: 3 });
    for (const { moved, candidates } of rounds) expect(moved).toBe(Math.ceil(0.25 * candidates));
  });

  test('a single block has nowhere to move words', async () => {
    const one = { ...request, partition: inOrder([WORDS]), ranks: [3] };
    expect((await refined(one)).partition).toEqual(one.partition);
  });
});

describe('bad input', () => {
  beforeAll(() => onBackend('cpu'));
  const request = REQUESTS['equal ranks']!;
  const spoilt = noisy.matrix.data.slice();
  spoilt[7] = NaN;

  test.each<[string, Partial<RefineRequest>, RegExp]>([
    [
      'a rank above the block',
      { ranks: [3, 61, 3, 3] },
      /block 1 .* 1 to 12.*60 words.*61.*vocab-partition\/rank/,
    ],
    [
      'a rank above the columns',
      { ranks: [13, 3, 3, 3] },
      /block 0 .* 1 to 12.*13.*vocab-partition\/rank/,
    ],
    [
      'a rank above a small block',
      { partition: inOrder([237, 1, 1, 1]) },
      /block 1 .* 1 to 1.*1 words?.*3.*vocab-partition\/rank/,
    ],
    ['rank 0', { ranks: [3, 0, 3, 3] }, /vocab-partition\/rank/],
    ['too few ranks', { ranks: [3] }, /a rank for each block.*vocab-partition\/refine/],
    [
      'weights of another length',
      { weights: zipf(9) },
      /same words.*"weights":9.*vocab-partition\/refine/,
    ],
    ['a matrix that is not finite', { matrix: { ...noisy.matrix, data: spoilt } }, /linalg\//],
    ['a negative weight', { weights: zipf(WORDS).fill(-1, 0, 1) }, /linalg\/weights/],
  ])('refuses %s', async (_, wrong, message) => {
    await expect(refine({ ...request, ...wrong })).rejects.toThrow(message);
  });
});
