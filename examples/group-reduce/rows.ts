import type { PluginEntries, Preset } from '@espalier/core';
import { groupReduce, prune, quantizeOnly, svd, weightedSvd } from '@espalier/preset-group-reduce';

/** A row of the ablation: what it changes, and whether it goes on from another row's result. */
export interface Row {
  readonly name: string;
  /** What happens to the dense model, or to the row's that it goes on from. */
  readonly preset: (given: RowGiven) => Preset;
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

const cut = ({ counts, blocks }: RowGiven) => ({ counts, blocks, refine: false });
const dense = { partition: false, importance: false, lowRank: false, quantizer: false } as const;
const plain = { importance: false, ranks: { rule: 'uniform' }, quantizer: false } as const;
const layers = ['embedding', 'softmax'];
const BEST = 'better importance';

/** Each row adds one thing to the row above it; the last two are other ways to the same size. */
export const ROWS: readonly Row[] = [
  { name: 'dense', preset: () => groupReduce(dense) },
  { name: 'SVD', preset: ({ ratio }) => svd({ ratio }) },
  { name: 'weighted SVD', preset: ({ ratio, counts }) => weightedSvd({ ratio, counts }) },
  {
    name: 'blocks',
    preset: (given) =>
      groupReduce({ ...plain, partition: cut(given), lowRank: { ratio: given.ratio } }),
  },
  {
    name: 'dynamic rank',
    preset: (given) =>
      groupReduce({
        partition: cut(given),
        importance: false,
        quantizer: false,
        lowRank: { ratio: given.ratio },
      }),
  },
  {
    name: 'weights',
    preset: (given) =>
      groupReduce({ partition: cut(given), quantizer: false, lowRank: { ratio: given.ratio } }),
  },
  {
    name: 'refinement',
    preset: (given) =>
      groupReduce({
        partition: { ...cut(given), refine: true },
        quantizer: false,
        lowRank: { ratio: given.ratio },
      }),
  },
  {
    name: BEST,
    statistics: true,
    preset: (given) =>
      groupReduce({
        partition: { ...cut(given), refine: { fraction: 1 } },
        importance: {
          rows: 'counts',
          power: 0.5,
          metric: 'hidden-covariance',
          softmax: 'softmax',
        },
        ranks: { rule: 'greedy' },
        quantizer: false,
        lowRank: { ratio: given.ratio },
      }),
  },
  ...([8, 4, 3] as const).map((bits): Row => ({
    name: `${bits}-bit`,
    after: BEST,
    preset: () => quantizeOnly({ bits, layers }),
  })),
  {
    name: 'quantize only',
    preset: ({ ratio }) => quantizeOnly({ bits: bitsFor(ratio), layers }),
  },
  { name: 'prune', preset: ({ ratio }) => prune({ ratio, layers }) },
];

/** The most bits that come near a ratio. */
function bitsFor(ratio: number): 8 | 4 | 2 {
  if (ratio > 12) return 2;
  return ratio > 7 ? 4 : 8;
}

/** The row's preset, with other plugins of the run beside it. */
export function presetOf({ preset }: Row, given: RowGiven, plugins: PluginEntries): Preset {
  return { extends: preset(given), plugins };
}
