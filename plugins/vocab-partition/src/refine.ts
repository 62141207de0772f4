import type { RefineRequest, VocabPartition } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import { residuals, spectrum } from '@espalier/linalg';
import { chooseMoves, countNumbers, weightedError } from './moves.js';
import type { Placement } from './moves.js';

/** One round of a refinement. */
export interface RefineRound {
  /** From 1. */
  readonly round: number;
  /** Words that lay better elsewhere before it. */
  readonly candidates: number;
  readonly moved: number;
  /** Σ of weight × squared error, after it. */
  readonly error: number;
}

/** When a refinement moves words and when it stops. */
export interface RefineOptions {
  /** Stops when fewer words lie better elsewhere; default 5. */
  readonly minCandidates?: number;
  /** The part of those that gain, of lowest error in the new block, that moves in a round; default 0.1. */
  readonly fraction?: number;
  /** Default 20. */
  readonly maxRounds?: number;
  onRound?(round: RefineRound): void;
}

/**
 * Moves words to blocks whose subspace reconstructs them better, refits the blocks that changed, and
 * repeats. The total weighted error falls from round to round; a round in which it would not is
 * undone and ends the refinement. Blocks keep their places and ranks, no block gets fewer words than
 * its rank, and all words together take no more numbers than before: where ranks differ, words that
 * move up are paid for by words that move down. For errors in a metric, give the rows multiplied
 * with its square root.
 *
 * @throws EspalierError `vocab-partition/rank`, `vocab-partition/refine`, and what
 * `@espalier/linalg` throws for a matrix or weights that are not finite.
 * @see GroupReduce, Chen et al. 2018, arXiv 1806.06950, section 3.4.
 */
export async function refine(
  request: RefineRequest,
  { minCandidates = 5, fraction = 0.1, maxRounds = 20, onRound }: RefineOptions = {},
): Promise<VocabPartition> {
  check(request);
  const blocks = request.ranks.map((_, p) => p);
  let placement = await fitSubspaces(request, firstPlacement(request), blocks);
  let error = weightedError(placement);
  for (let round = 1; round <= maxRounds; round++) {
    const { candidates, chosen } = chooseMoves(placement, fraction);
    if (candidates < minCandidates || chosen.length === 0) break;
    const block = placement.block.slice();
    chosen.forEach(({ word, to }) => (block[word] = to));
    const changed = new Set(chosen.flatMap(({ word, to }) => [placement.block[word]!, to]));
    const next = await fitSubspaces(request, { ...placement, block }, [...changed]);
    const after = weightedError(next);
    if (!(after < error)) break;
    [placement, error] = [next, after];
    onRound?.({ round, candidates, moved: chosen.length, error });
  }
  return buildPartition(request.partition, placement.block);
}

function firstPlacement({ partition, matrix, weights, ranks }: RefineRequest): Placement {
  const block = new Int32Array(matrix.rows);
  let begin = 0;
  partition.sizes.forEach((size, p) => {
    for (const word of partition.order.subarray(begin, (begin += size))) block[word] = p;
  });
  const numbers = ranks.map((rank) => rank ?? matrix.columns);
  const least = ranks.map((rank) => rank ?? 1);
  const errors = ranks.map(() => undefined);
  return { block, errors, weights, numbers, least, budget: countNumbers(block, numbers) };
}

/** The placement with the subspaces of `blocks` fitted to their words. */
async function fitSubspaces(
  { matrix, weights, ranks }: RefineRequest,
  placement: Placement,
  blocks: readonly number[],
): Promise<Placement> {
  const errors = [...placement.errors];
  for (const p of blocks) {
    const rank = ranks[p];
    if (typeof rank !== 'number') continue;
    const select = Int32Array.from(wordsIn(placement.block, p));
    const weighted = select.some((word) => weights[word]! > 0);
    const { vectors } = await spectrum(matrix, {
      select,
      count: rank,
      ...(weighted && { weights }),
    });
    errors[p] = await residuals(matrix, vectors(rank));
  }
  return { ...placement, errors };
}

function wordsIn(block: Int32Array, p: number): number[] {
  const words: number[] = [];
  block.forEach((own, word) => {
    if (own === p) words.push(word);
  });
  return words;
}

/** Inside a block, words keep the order that they had: by falling count. */
function buildPartition({ order, sizes }: VocabPartition, block: Int32Array): VocabPartition {
  const parts = sizes.map((_, p) => order.filter((word) => block[word] === p));
  const next = new Int32Array(order.length);
  let begin = 0;
  for (const part of parts) {
    next.set(part, begin);
    begin += part.length;
  }
  return { order: next, sizes: parts.map(({ length }) => length) };
}

function check({ partition, matrix, weights, ranks }: RefineRequest): void {
  const { order, sizes } = partition;
  const words = sizes.reduce((a, b) => a + b, 0);
  const lengths = { order: order.length, sizes: words, rows: matrix.rows, weights: weights.length };
  if (new Set(Object.values(lengths)).size > 1 || ranks.length !== sizes.length) {
    throw new EspalierError('vocab-partition/refine', {
      problem:
        'order, sizes, rows and weights must be of the same words, with a rank for each block',
      received: { ...lengths, blocks: sizes.length, ranks: ranks.length },
    });
  }
  ranks.forEach((rank, p) => checkRank(rank, p, Math.min(sizes[p]!, matrix.columns), sizes[p]!));
}

function checkRank(rank: number | null, p: number, most: number, words: number): void {
  if (rank === null || (Number.isInteger(rank) && rank >= 1 && rank <= most)) return;
  throw new EspalierError('vocab-partition/rank', {
    problem: `the rank of block ${p} must be a whole number from 1 to ${most}, or null for a dense block; it has ${words} words`,
    received: rank,
    fix: 'Give a smaller rank, or fewer and larger blocks.',
  });
}
