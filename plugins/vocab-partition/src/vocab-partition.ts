import { VOCAB_PARTITIONER, WORD_COUNTS } from '@espalier/compression';
import type { WordCounts } from '@espalier/compression';
import { definePlugin } from '@espalier/core';
import type { BaseContext, PluginFactory } from '@espalier/core';
import { checkCounts, checkLength } from './check-counts.js';
import { alignCounts } from './counts-for.js';
import { ObservedCounts } from './observed-counts.js';
import { byWord, vocabPartitionOptions } from './options.js';
import type { ParsedOptions } from './options.js';
import { partitioner } from './partitioner.js';
import type { RefineOptions } from './refine.js';
import { findWordInput } from './word-input.js';

type Context = BaseContext<Record<never, never>>;

/**
 * Provides word counts and a partition of the vocabulary by frequency: what `blockLowRank` cuts its
 * matrices by. It changes nothing itself.
 *
 * @throws EspalierError At setup: `vocab-partition/counts`, `vocab-partition/vocabulary`,
 * `vocab-partition/input`.
 * @see GroupReduce, Chen et al. 2018, arXiv 1806.06950.
 * @example
 * plugins: [vocabPartition({ blocks: 5 }), blockLowRank({ ratio: 8 })];
 */
export const vocabPartition: PluginFactory<typeof vocabPartitionOptions> = definePlugin({
  id: 'vocab-partition',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-vocab-partition#vocabPartition',
  options: vocabPartitionOptions,
  apply(ctx, options) {
    const counts = options.counts === 'observe' ? observe(ctx, options) : given(ctx, options);
    ctx.provide(WORD_COUNTS, () => counts);
    const refine = refinement(ctx, options);
    const made = partitioner({ ...options, refine });
    ctx.provide(VOCAB_PARTITIONER, () => made);
  },
});

function observe(ctx: Context, { input }: ParsedOptions): WordCounts {
  const observed = new ObservedCounts(findWordInput(ctx.model, input));
  ctx.hooks.afterStep.tap(async ({ microBatches }) => {
    for (const batch of microBatches) await observed.add(batch);
  });
  ctx.keepState({
    version: 1,
    save: () => ({ json: observed.save() }),
    load: ({ json }) => observed.load(json as ReturnType<ObservedCounts['save']>),
  });
  return observed;
}

function given(ctx: Context, { counts, vocabulary = [] }: ParsedOptions): WordCounts {
  const checked = byWord(counts)
    ? alignCounts(vocabulary, {
        words: Object.keys(counts),
        counts: Float64Array.from(Object.values(counts)),
      })
    : checkCounts(counts as ArrayLike<number>);
  // Options bring the counts again in every session.
  ctx.keepState({ version: 1, save: () => ({}), load: () => undefined });
  return {
    source: 'given',
    counts: (words) => checkLength(checked, words),
    fits: (words) => checked.length === words,
  };
}

function refinement(ctx: Context, { refine }: ParsedOptions): RefineOptions | undefined {
  if (refine === false) return undefined;
  const limits = refine === true ? { maxRounds: 20 } : refine;
  const onRound = ({ round }: { readonly round: number }) =>
    ctx.progress('refinement', round, limits.maxRounds);
  return { ...limits, onRound };
}
