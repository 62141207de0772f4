import type { PluginEntries, Preset } from '@espalier/core';
import { groupReduce } from '@espalier/preset-group-reduce';
import type { GroupReduceOptions } from '@espalier/preset-group-reduce';

/** A row of the ablation: what it changes, and whether it goes on from another row's result. */
export interface Row {
  readonly name: string;
  /** What happens to the dense model, in the order of the steps. */
  readonly options: (given: RowGiven) => GroupReduceOptions;
  /** Whether importance is gathered on training text first. */
  readonly statistics?: boolean;
  /** The row whose retrained model this one quantizes. */
  readonly after?: string;
}

/** What a row is made for. */
export interface RowGiven {
  readonly counts: Float64Array;
  readonly blocks: number;
  /** Bytes of both matrices before over after, in float32. */
  readonly ratio: number;
}

const none = {
  partition: false,
  importance: false,
  ranks: { rule: 'uniform' },
  quantizer: false,
} as const;
const cut = ({ counts, blocks }: RowGiven) => ({ counts, blocks, refine: false });
const better = {
  importance: { rows: 'counts', power: 0.5, metric: 'hidden-covariance', softmax: 'softmax' },
  ranks: { rule: 'greedy' },
} as const;
const BEST = 'better importance';

/** Each row adds one thing to the row above it. */
export const ROWS: readonly Row[] = [
  {
    name: 'dense',
    options: () => ({ ...none, lowRank: false }),
  },
  {
    name: 'SVD',
    options: ({ ratio }) => ({ ...none, lowRank: { ratio } }),
  },
  {
    name: 'weighted SVD',
    options: ({ ratio, counts }) => ({
      ...none,
      partition: { counts, blocks: 1, refine: false },
      importance: { rows: 'counts' },
      lowRank: { ratio },
    }),
  },
  {
    name: 'blocks',
    options: (given) => ({ ...none, partition: cut(given), lowRank: { ratio: given.ratio } }),
  },
  {
    name: 'dynamic rank',
    options: (given) => ({
      partition: cut(given),
      importance: false,
      quantizer: false,
      lowRank: { ratio: given.ratio },
    }),
  },
  {
    name: 'weights',
    options: (given) => ({
      partition: cut(given),
      quantizer: false,
      lowRank: { ratio: given.ratio },
    }),
  },
  {
    name: 'refinement',
    options: (given) => ({
      partition: { ...cut(given), refine: true },
      quantizer: false,
      lowRank: { ratio: given.ratio },
    }),
  },
  {
    name: BEST,
    statistics: true,
    options: (given) => ({
      partition: { ...cut(given), refine: { fraction: 1 } },
      ...better,
      quantizer: false,
      lowRank: { ratio: given.ratio },
    }),
  },
  ...([8, 4, 3] as const).map((bits): Row => ({
    name: `${bits}-bit`,
    after: BEST,
    options: () => ({
      ...none,
      lowRank: false,
      quantizer: { bits, layers: ['embedding', 'softmax'] },
    }),
  })),
  {
    name: 'quantize only',
    options: ({ ratio }) => ({
      ...none,
      lowRank: false,
      quantizer: { bits: ratio > 7 ? 4 : 8, layers: ['embedding', 'softmax'] },
    }),
  },
];

/** The row's preset, with other plugins of the run beside it. */
export function presetOf({ options }: Row, given: RowGiven, plugins: PluginEntries): Preset {
  return { extends: groupReduce(options(given)), plugins };
}
