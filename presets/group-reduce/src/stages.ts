import { blockLowRank, rankRule, wordImportance } from '@espalier/plugin-block-low-rank';
import { quantizer } from '@espalier/plugin-quantizer';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { z } from 'zod';

const off = z.literal(false);

/** Options of {@link groupReduce}, as data: by stage. */
export const stages = z.strictObject({
  partition: z.union([off, vocabPartition.definition.options]).optional(),
  importance: z.union([off, wordImportance.definition.options]).optional(),
  ranks: z.union([off, rankRule.definition.options]).optional(),
  lowRank: z.union([off, blockLowRank.definition.options]).optional(),
  quantizer: z.union([off, quantizer.definition.options]).optional(),
});

/** Options of `groupReduce`: of each stage those of its plugin, or `false` to leave it out. */
export interface GroupReduceOptions {
  /** Counts, blocks, refinement: options of `vocabPartition`. Without it: one block. */
  readonly partition?: false | Parameters<typeof vocabPartition>[0];
  /** What errors weigh: options of `wordImportance`. Without it: all alike. */
  readonly importance?: false | Parameters<typeof wordImportance>[0];
  /** Which block gets how much: options of `rankRule`. Without it: error-greedy. */
  readonly ranks?: false | Parameters<typeof rankRule>[0];
  /** Size and layers: options of `blockLowRank`. Without it nothing is factorised. */
  readonly lowRank?: false | Parameters<typeof blockLowRank>[0];
  /** Bits: options of `quantizer`. Without it factors stay float32. */
  readonly quantizer?: false | Parameters<typeof quantizer>[0];
}
