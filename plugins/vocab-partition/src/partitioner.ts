import type { VocabPartition, VocabPartitioner } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import { kMeansLogFrequency } from './k-means.js';
import { refine } from './refine.js';
import type { RefineOptions } from './refine.js';
import { cutOffs, equalMass, equalSize } from './rules.js';

const RULES = {
  'equal-size': equalSize,
  'equal-mass': equalMass,
  'k-means': kMeansLogFrequency,
} as const;

/** Numbers of blocks that `auto` tries, those that the vocabulary allows. */
export const AUTO_BLOCKS: readonly number[] = [1, 2, 3, 5, 8, 10, 15, 20];

/** How a vocabulary is cut. */
export interface PartitionerOptions {
  readonly method: keyof typeof RULES | 'cut-offs';
  /** How many blocks; `auto`: several partitions, from which the budget chooses. Not with cut-offs. */
  readonly blocks?: number | 'auto' | undefined;
  /** With `cut-offs`: how many of the most frequent words lie before each cut. */
  readonly cutoffs?: readonly number[] | undefined;
  /** How partitions are refined; absent: they are not. */
  readonly refine?: RefineOptions | undefined;
}

/**
 * A partitioner by frequency, for use without a session or in a preset's `bind`.
 *
 * @throws EspalierError `vocab-partition/cut-offs`; its `candidates` throw what the rules throw.
 */
export function partitioner(options: PartitionerOptions): VocabPartitioner {
  const { method, blocks = 5, cutoffs, refine: refinement } = options;
  const named = method === 'cut-offs' ? method : `${method}, ${blocks}`;
  return {
    name: `${named}${refinement ? ', refined' : ''}`,
    candidates: listCandidates(method, blocks, cutoffs),
    ...(refinement && { refine: (request) => refine(request, refinement) }),
  };
}

function listCandidates(
  method: PartitionerOptions['method'],
  blocks: number | 'auto',
  cutoffs: readonly number[] | undefined,
): (counts: Float64Array) => readonly VocabPartition[] {
  if (method !== 'cut-offs') {
    const rule = RULES[method];
    return (counts) => {
      const numbers = blocks === 'auto' ? AUTO_BLOCKS.filter((n) => n <= counts.length) : [blocks];
      return numbers.map((each) => rule(counts, each));
    };
  }
  if (cutoffs) return (counts) => [cutOffs(counts, cutoffs)];
  throw new EspalierError('vocab-partition/cut-offs', {
    problem: "the method 'cut-offs' needs cut-offs",
    fix: 'Give how many of the most frequent words lie before each cut: cutoffs: [2000, 10000].',
  });
}
