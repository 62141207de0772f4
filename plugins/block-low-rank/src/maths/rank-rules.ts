import type { BlockSpectrum, RankAllocator } from '@espalier/compression';

type Ranks = readonly (number | null)[];

/** One rank for all blocks: the largest that fits. */
export const uniformRanks: RankAllocator = {
  name: 'uniform',
  allocate: (blocks, budget) => largest(blocks, budget, (size) => blocks.map(() => size), 1),
};

/**
 * The paper's rule: ranks in proportion to the mean count of a block's words, `r_p = r_min · m_p /
 * m_rarest`, with the largest `r_min` (in 32nds) that fits.
 *
 * @see GroupReduce, Chen et al. 2018, arXiv 1806.06950, section 3.3.
 */
export const proportionalRanks: RankAllocator = {
  name: 'proportional',
  allocate(blocks, budget) {
    const rarest = Math.min(...blocks.map(({ meanCount }) => meanCount));
    const at = (least: number) =>
      blocks.map(({ meanCount }) => Math.round((least * meanCount) / rarest));
    return largest(blocks, budget, at, 1 / 32);
  },
};

/**
 * Spends the budget where a byte takes off the most weighted error; never worse than the other two
 * rules, in that error.
 */
export const greedyRanks: RankAllocator = {
  name: 'error-greedy',
  allocate(blocks, budget) {
    const rules = [greedy, uniformRanks.allocate, proportionalRanks.allocate];
    const found = rules.map((rule) => rule(blocks, budget));
    return found.reduce((best, each) =>
      computeError(blocks, each) < computeError(blocks, best) ? each : best,
    );
  },
};

/** The weighted error that ranks leave: the energies that they do not take. */
export function computeError(blocks: readonly BlockSpectrum[], ranks: Ranks): number {
  return blocks.reduce((sum, block, p) => sum + tail(block, ranks[p]!), 0);
}

/** Bytes of all blocks at these ranks. */
export function countBytes(blocks: readonly BlockSpectrum[], ranks: Ranks): number {
  return blocks.reduce((sum, block, p) => sum + block.bytes(ranks[p]!), 0);
}

/** A wish for a rank, made possible: at least 1, dense where a low rank costs no less. */
export function feasibleRank(block: BlockSpectrum, wish: number): number | null {
  const rank = Math.max(1, Math.min(wish, block.columns));
  return block.bytes(rank) >= block.bytes(null) ? null : rank;
}

/** The ranks at the largest multiple of `grain` that fits; rank 1 everywhere is taken to fit. */
function largest(
  blocks: readonly BlockSpectrum[],
  budget: number,
  wishes: (size: number) => readonly number[],
  grain: number,
): Ranks {
  const ranksAt = (steps: number) => {
    const wish = wishes(steps * grain);
    return blocks.map((block, p) => feasibleRank(block, wish[p]!));
  };
  let ranks = ranksAt(0);
  for (let steps = 1; ranks.some((rank) => rank !== null); steps++) {
    const next = ranksAt(steps);
    if (countBytes(blocks, next) > budget) break;
    ranks = next;
  }
  return ranks;
}

interface Move {
  readonly block: number;
  readonly rank: number | null;
  readonly bytes: number;
  readonly worth: number;
}

function greedy(blocks: readonly BlockSpectrum[], budget: number): Ranks {
  const ranks = blocks.map((block) => feasibleRank(block, 1));
  let left = budget - countBytes(blocks, ranks);
  for (;;) {
    const moves = blocks.flatMap((block, p) => listMoves(block, p, ranks[p]!));
    const fitting = moves.filter(({ bytes, worth }) => bytes <= left && worth > 0);
    if (fitting.length === 0) return ranks;
    const best = fitting.reduce((a, b) => (b.worth > a.worth ? b : a));
    ranks[best.block] = best.rank;
    left -= best.bytes;
  }
}

/** One rank more, or all that is missing at once. */
function listMoves(block: BlockSpectrum, p: number, rank: number | null): Move[] {
  if (rank === null) return [];
  const here = { bytes: block.bytes(rank), error: tail(block, rank) };
  return [...new Set([feasibleRank(block, rank + 1), null])].map((next) => {
    const bytes = block.bytes(next) - here.bytes;
    const gain = here.error - tail(block, next);
    return { block: p, rank: next, bytes, worth: gain / Math.max(bytes, Number.MIN_VALUE) };
  });
}

function tail({ energies }: BlockSpectrum, rank: number | null): number {
  if (rank === null) return 0;
  let sum = 0;
  for (let k = energies.length - 1; k >= rank; k--) sum += Math.max(0, energies[k]!);
  return sum;
}
