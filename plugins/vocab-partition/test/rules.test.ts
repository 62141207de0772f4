import type { VocabPartition } from '@espalier/compression';
import {
  cutOffs,
  equalMass,
  equalSize,
  kMeansLogFrequency,
  partitioner,
} from '@espalier/plugin-vocab-partition';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const RULES = { equalSize, equalMass, kMeansLogFrequency };

/** Counts as texts have them: many ties, zeros, a long tail, some fractions. */
const counts = fc
  .array(fc.oneof(fc.nat(3), fc.nat(10_000), fc.double({ min: 0, max: 5, noNaN: true })), {
    minLength: 1,
    maxLength: 40,
  })
  .filter((each) => each.some((count) => count > 0));
const countsAndBlocks = counts.chain((each) =>
  fc.tuple(fc.constant(each), fc.integer({ min: 1, max: each.length })),
);

/** Every way to cut `words` words into `blocks` blocks: sizes. */
function allSizes(words: number, blocks: number): number[][] {
  if (blocks === 1) return [[words]];
  const firsts = Array.from({ length: words - blocks + 1 }, (_, i) => i + 1);
  return firsts.flatMap((n) => allSizes(words - n, blocks - 1).map((rest) => [n, ...rest]));
}

/** Σ of squared distances of log counts to the mean of their block, zeros as the smallest count ≤ 1. */
function scatter(given: readonly number[], sizes: readonly number[]): number {
  const floor = Math.min(1, ...given.filter((count) => count > 0));
  const logs = given.map((count) => Math.log(Math.max(count, floor))).sort((a, b) => b - a);
  let begin = 0;
  return sizes.reduce((sum, size) => {
    const block = logs.slice(begin, (begin += size));
    const mean = block.reduce((a, b) => a + b, 0) / size;
    return sum + block.reduce((a, b) => a + (b - mean) ** 2, 0);
  }, 0);
}

function expectPartition(
  { order, sizes }: VocabPartition,
  given: readonly number[],
  blocks: number,
) {
  expect([...order].sort((a, b) => a - b)).toEqual(given.map((_, word) => word));
  expect(sizes).toHaveLength(blocks);
  expect(sizes.every((size) => size > 0)).toBe(true);
  expect(sizes.reduce((a, b) => a + b, 0)).toBe(given.length);
  order.forEach((word, i) => {
    if (i === 0) return;
    const [before, here] = [order[i - 1]!, word];
    const falls = given[before]! > given[here]! || (given[before] === given[here] && before < here);
    expect(falls).toBe(true);
  });
}

describe.each(Object.entries(RULES))('%s', (_, rule) => {
  test('is a permutation in falling frequency, ties by word id, no block empty', () => {
    fc.assert(
      fc.property(countsAndBlocks, ([given, blocks]) => {
        expectPartition(rule(given, blocks), given, blocks);
      }),
    );
  });

  test('keeps the order of a vocabulary that is sorted by count', () => {
    const { order } = rule([9, 7, 7, 7, 3, 1, 1, 0, 0], 3);
    expect([...order]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test.each<[string, number[], number, RegExp]>([
    ['a negative count', [3, -1], 1, /word 1 .* Received: -1.*vocab-partition\/counts/],
    ['a count that is NaN', [NaN, 2], 1, /word 0 .*NaN.*vocab-partition\/counts/],
    ['an infinite count', [1, Infinity], 1, /word 1 .*Infinity.*vocab-partition\/counts/],
    ['zeros only', [0, 0], 1, /all word counts are zero.*vocab-partition\/counts/],
    ['no counts', [], 1, /no word counts.*vocab-partition\/counts/],
    ['more blocks than words', [1, 2], 3, /2 words make 1 to 2 blocks.*3.*vocab-partition\/blocks/],
    ['no block', [1, 2], 0, /vocab-partition\/blocks/],
    ['half a block', [1, 2], 1.5, /vocab-partition\/blocks/],
  ])('refuses %s', (_, given, blocks, message) => {
    expect(() => rule(given, blocks)).toThrow(message);
  });
});

test('sizes of equal blocks differ by one at most', () => {
  fc.assert(
    fc.property(countsAndBlocks, ([given, blocks]) => {
      const { sizes } = equalSize(given, blocks);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
  );
});

test('blocks of equal mass end at the word that comes nearest', () => {
  expect(equalMass([4, 4, 2, 2, 2, 2], 2).sizes).toEqual([2, 4]);
  expect(equalMass([100, 1, 1, 1], 2).sizes).toEqual([1, 3]);
  expect(equalMass([100, 1, 1, 1], 4).sizes).toEqual([1, 1, 1, 1]);
  expect(equalMass([5, 5, 5, 5, 5, 5], 3).sizes).toEqual([2, 2, 2]);
});

test('k-means finds the least scatter of log counts of all ways to cut', () => {
  const few = fc
    .array(fc.oneof(fc.nat(4), fc.nat(1000)), { minLength: 1, maxLength: 9 })
    .filter((given) => given.some((count) => count > 0))
    .chain((given) => fc.tuple(fc.constant(given), fc.integer({ min: 1, max: given.length })));
  fc.assert(
    fc.property(few, ([given, blocks]) => {
      const found = scatter(given, kMeansLogFrequency(given, blocks).sizes);
      const least = Math.min(
        ...allSizes(given.length, blocks).map((sizes) => scatter(given, sizes)),
      );
      expect(found).toBeLessThanOrEqual(least + 1e-9);
    }),
    { numRuns: 300 },
  );
});

test('k-means parts orders of magnitude, and halves what is equal', () => {
  expect(kMeansLogFrequency([1000, 10, 1, 900, 12, 0, 1], 3).sizes).toEqual([2, 2, 3]);
  expect(kMeansLogFrequency([5, 5, 5, 5, 5, 5, 5, 5], 3).sizes).toEqual([2, 2, 4]);
});

test('relative frequencies are cut as the counts that they come from', () => {
  const whole = [500, 200, 90, 30, 4, 2, 1, 1];
  const relative = whole.map((count) => count / 10_000);
  for (const rule of Object.values(RULES)) {
    expect(rule(relative, 3).sizes).toEqual(rule(whole, 3).sizes);
  }
});

test('cut-offs are where the user says', () => {
  const partition = cutOffs([1, 5, 3, 4, 2], [1, 3]);
  expect([...partition.order]).toEqual([1, 3, 2, 4, 0]);
  expect(partition.sizes).toEqual([1, 2, 2]);
});

test.each([[[3, 2]], [[0]], [[5]], [[2, 2]], [[1.5]], [[NaN]]])(
  'refuses the cut-offs %j',
  (cutoffs) => {
    expect(() => cutOffs([1, 5, 3, 4, 2], cutoffs)).toThrow(
      /cut-offs must rise .* from 1 to 4, for 5 words.*vocab-partition\/cut-offs/,
    );
  },
);

test('a partitioner offers one partition, or those that fit for the budget to choose from', () => {
  const given = Float64Array.from({ length: 9 }, (_, i) => 100 - i);
  const sizes = (blocks: number | 'auto') =>
    partitioner({ method: 'equal-size', blocks })
      .candidates(given)
      .map((each) => each.sizes.length);
  expect(sizes(3)).toEqual([3]);
  expect(sizes('auto')).toEqual([1, 2, 3, 5, 8]);
  const cut = partitioner({ method: 'cut-offs', cutoffs: [2] });
  expect(cut.candidates(given).map((each) => each.sizes)).toEqual([[2, 7]]);
  expect(() => partitioner({ method: 'cut-offs' })).toThrow(/vocab-partition\/cut-offs/);
});

test('a partitioner refines only where it is asked to', () => {
  expect(partitioner({ method: 'k-means' }).refine).toBeUndefined();
  expect(partitioner({ method: 'k-means', refine: {} }).refine).toBeTypeOf('function');
});
