import { parseOptions } from '@espalier/core';
import type { PluginEntries, Preset } from '@espalier/core';
import { blockLowRank, rankRule, wordImportance } from '@espalier/plugin-block-low-rank';
import { quantizer } from '@espalier/plugin-quantizer';
import { vocabPartition } from '@espalier/plugin-vocab-partition';
import { stages } from './stages.js';
import type { GroupReduceOptions } from './stages.js';

/** The paper's method; options lie over it as a preset of their own, so that their origin is told apart. */
const PAPER: Preset = {
  name: 'group-reduce',
  plugins: {
    // Counts of words, and blocks of words of like frequency; refined by reconstruction error.
    'vocab-partition': { use: vocabPartition },
    // A frequent word's error matters more.
    'word-importance': {
      use: wordImportance,
      options: { rows: 'counts' },
    },
    // Who gets how much of the budget.
    'rank-rule': {
      use: rankRule,
      options: { rule: 'proportional' },
    },
    // Asks the three above, in `transform`.
    'block-low-rank': { use: blockLowRank },
    // Comes after block-low-rank; to retrain in between, transform in two stages.
    quantizer: { use: quantizer, options: { bits: 8 } },
  },
};

/**
 * GroupReduce: block-wise low-rank approximation of embedding and softmax matrices, then
 * quantization. Every stage is a switch: `false` leaves it out, an object sets its options.
 *
 * @throws EspalierError `options/invalid`.
 * @see Chen, Si, Li, Chelba & Hsieh 2018, arXiv 1806.06950.
 * @example
 * const session = await createSession({
 *   preset: groupReduce({ partition: { counts }, lowRank: { ratio: 4 } }),
 *   model: () => trained, …run,
 * });
 * await session.transform({ plugins: ['block-low-rank'] });
 * await session.fit({ epochs: 1 }); // retrain
 * await session.transform({ plugins: ['quantizer'] });
 */
export function groupReduce(options: GroupReduceOptions = {}): Preset {
  parseOptions("preset 'group-reduce'", stages, options);
  const given = Object.entries({
    'vocab-partition': options.partition,
    'word-importance': options.importance,
    'rank-rule': options.ranks,
    'block-low-rank': options.lowRank,
    quantizer: options.quantizer,
  }).filter(([, stage]) => stage !== undefined);
  if (given.length === 0) return PAPER;
  const plugins = given.map(([id, stage]) => [id, stage === false ? false : { options: stage }]);
  return {
    name: 'group-reduce with options',
    extends: PAPER,
    plugins: Object.fromEntries(plugins) as PluginEntries,
  };
}
