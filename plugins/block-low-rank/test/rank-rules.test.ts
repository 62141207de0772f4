import type { BlockSpectrum } from '@espalier/compression';
import { greedyRanks, proportionalRanks, uniformRanks } from '@espalier/plugin-block-low-rank';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

type Ranks = readonly (number | null)[];

interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly meanCount: number;
  readonly energies: readonly number[];
}

const RULES = { uniform: uniformRanks, proportional: proportionalRanks, greedy: greedyRanks };

function spectrum({ rows, columns, meanCount, energies }: Shape): BlockSpectrum {
  return {
    rows,
    columns,
    meanCount,
    energies: Float64Array.from(energies).sort((a, b) => b - a),
    bytes: (rank) => 4 * (rank === null ? rows * columns : rank * (rows + columns)),
  };
}

/** Spectra of one matrix's blocks, with energies of any scale and blocks of no energy at all. */
const spectra = fc.integer({ min: 1, max: 12 }).chain((columns) =>
  fc.array(
    fc
      .record({
        rows: fc.integer({ min: 1, max: 40 }),
        meanCount: fc.double({ min: 1e-6, max: 1e3, noNaN: true }),
        energies: fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), {
          minLength: columns,
          maxLength: columns,
        }),
      })
      .map((block) => spectrum({ ...block, columns })),
    { minLength: 1, maxLength: 6 },
  ),
);

function bytesOf(blocks: readonly BlockSpectrum[], ranks: Ranks): number {
  return blocks.reduce((sum, block, p) => sum + block.bytes(ranks[p]!), 0);
}

/** Energy that the ranks leave. */
function errorOf(blocks: readonly BlockSpectrum[], ranks: Ranks): number {
  return blocks.reduce((sum, { energies }, p) => {
    const rank = ranks[p]!;
    return sum + (rank === null ? 0 : energies.slice(rank).reduce((a, b) => a + b, 0));
  }, 0);
}

/** Every block at rank 1, or dense where that is no dearer. */
function least(blocks: readonly BlockSpectrum[]): number {
  return blocks.reduce((sum, block) => sum + Math.min(block.bytes(1), block.bytes(null)), 0);
}

function dense(blocks: readonly BlockSpectrum[]): number {
  return blocks.reduce((sum, block) => sum + block.bytes(null), 0);
}

/** Blocks, and a budget between the least possible and more than all. */
const budgeted = fc
  .tuple(spectra, fc.double({ min: 0, max: 1.2, noNaN: true }))
  .map(([blocks, part]) => {
    const [low, high] = [least(blocks), dense(blocks)];
    return { blocks, budget: Math.floor(low + part * (high - low)) };
  });

describe.each(Object.entries(RULES))('%s', (_, rule) => {
  test('stays within the budget, with ranks that the blocks can have', () => {
    fc.assert(
      fc.property(budgeted, ({ blocks, budget }) => {
        const ranks = rule.allocate(blocks, budget);
        expect(ranks.length).toBe(blocks.length);
        expect(bytesOf(blocks, ranks)).toBeLessThanOrEqual(budget);
        ranks.forEach((rank, p) => {
          const { rows, columns } = blocks[p]!;
          if (rank === null) return;
          expect(Number.isInteger(rank)).toBe(true);
          expect(rank).toBeGreaterThanOrEqual(1);
          expect(rank).toBeLessThanOrEqual(Math.min(rows, columns));
        });
      }),
    );
  });

  test('keeps a block dense where its factors would take no less', () => {
    fc.assert(
      fc.property(budgeted, ({ blocks, budget }) => {
        rule.allocate(blocks, budget).forEach((rank, p) => {
          const block = blocks[p]!;
          if (rank !== null) expect(block.bytes(rank)).toBeLessThan(block.bytes(null));
        });
      }),
    );
  });

  test('the least budget gives rank 1 everywhere, all bytes dense blocks', () => {
    const shape = { rows: 30, columns: 8, energies: [8, 7, 6, 5, 4, 3, 2, 1] };
    const blocks = [9, 3, 1].map((meanCount) => spectrum({ ...shape, meanCount }));
    expect(rule.allocate(blocks, least(blocks))).toEqual([1, 1, 1]);
    expect(rule.allocate(blocks, dense(blocks))).toEqual([null, null, null]);
  });
});

test('greedy never leaves more error than the other rules', () => {
  fc.assert(
    fc.property(budgeted, ({ blocks, budget }) => {
      const error = errorOf(blocks, greedyRanks.allocate(blocks, budget));
      for (const other of [uniformRanks, proportionalRanks]) {
        const reached = errorOf(blocks, other.allocate(blocks, budget));
        expect(error).toBeLessThanOrEqual(reached * (1 + 1e-12));
      }
    }),
  );
});

test('greedy takes what another rule finds, where the best byte first leads astray', () => {
  const blocks = [
    spectrum({ rows: 3, columns: 2, meanCount: 1, energies: [7, 5] }),
    spectrum({ rows: 4, columns: 2, meanCount: 2, energies: [8, 6] }),
  ];
  // The first block is the better bargain, and then there is no room for the second.
  expect(greedyRanks.allocate(blocks, 55)).toEqual([1, null]);
});

test('proportional gives the ranks of five equal blocks of Penn Treebank counts at a quarter', () => {
  const means = [403.9765, 30.9015, 14.9555, 9.027, 5.934];
  const shape = { rows: 2000, columns: 200, energies: new Array<number>(200).fill(1) };
  const blocks = means.map((meanCount) => spectrum({ ...shape, meanCount }));
  const ranks = proportionalRanks.allocate(blocks, (4 * 10_000 * 200) / 4);
  expect(ranks).toEqual([null, 23, 11, 7, 4]); // dense is the reference's rank 200
});
