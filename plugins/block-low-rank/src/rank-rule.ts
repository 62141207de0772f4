import { RANK_ALLOCATOR } from '@espalier/compression';
import { definePlugin } from '@espalier/core';
import type { PluginFactory } from '@espalier/core';
import { z } from 'zod';
import { greedyRanks, proportionalRanks, uniformRanks } from './maths/rank-rules.js';

const RULES = {
  greedy: greedyRanks,
  proportional: proportionalRanks,
  uniform: uniformRanks,
} as const;

const rules = z.strictObject({
  rule: z.enum(['greedy', 'proportional', 'uniform']).default('greedy'),
});

/** Provides the rule by which `blockLowRank` shares its budget among blocks; default `greedy`. */
export const rankRule: PluginFactory<typeof rules> = definePlugin({
  id: 'rank-rule',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-block-low-rank#rankRule',
  options: rules,
  stateless: true,
  apply(ctx, { rule }) {
    ctx.provide(RANK_ALLOCATOR, () => RULES[rule]);
  },
});
