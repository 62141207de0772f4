import type { Preset } from '@espalier/core';
import { blockCodes as codes } from '@espalier/plugin-block-low-rank';
import type { BlockCodesOptions } from '@espalier/plugin-block-low-rank';
import { prune as plugin } from '@espalier/plugin-prune';
import type { PruneOptions } from '@espalier/plugin-prune';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { groupReduce } from './group-reduce.js';
import type { GroupReduceOptions } from './stages.js';

/**
 * Codes of blocks: blocks, directions and bits of each matrix chosen together for a size, without training. Not
 * of the paper; what it makes better is in the README. `counts` are those of `vocabPartition`.
 */
export function blockCodes({
  counts,
  ...options
}: BlockCodesOptions & {
  readonly counts?: NonNullable<Exclude<GroupReduceOptions['partition'], false>>['counts'];
} = {}): Preset {
  const counted = counts === undefined ? {} : { options: { counts } };
  return {
    name: 'block-codes',
    plugins: {
      'vocab-partition': { use: vocabPartition, ...counted },
      'block-codes': { use: codes, options },
    },
  };
}

/** Truncated SVD of each matrix: one block, all errors alike, nothing quantized. */
export function svd(lowRank: NonNullable<GroupReduceOptions['lowRank']> = {}): Preset {
  const nothing = { partition: false, importance: false, ranks: false, quantizer: false } as const;
  return { ...groupReduce({ ...nothing, lowRank }), name: 'svd' };
}

/** Truncated SVD in which a word's error weighs as much as the word is frequent. */
export function weightedSvd({
  counts,
  ...lowRank
}: NonNullable<Exclude<GroupReduceOptions['lowRank'], false>> & {
  readonly counts?: NonNullable<Exclude<GroupReduceOptions['partition'], false>>['counts'];
} = {}): Preset {
  const partition = { blocks: 1, refine: false, ...(counts !== undefined && { counts }) };
  return {
    ...groupReduce({ partition, ranks: false, quantizer: false, lowRank }),
    name: 'weighted-svd',
  };
}

/** Quantization of the dense matrices: no factors. */
export function quantizeOnly(quantizer: NonNullable<GroupReduceOptions['quantizer']> = {}): Preset {
  const nothing = { partition: false, importance: false, ranks: false, lowRank: false } as const;
  return { ...groupReduce({ ...nothing, quantizer }), name: 'quantize-only' };
}

/** Magnitude pruning of the dense matrices: a bitmap and the largest numbers; no factors, no codes. */
export function prune(options: PruneOptions = {}): Preset {
  return { name: 'prune', plugins: { prune: { use: plugin, options } } };
}
