import type { PluginEntries, Preset } from '@espalier/core';
import { wordImportance } from '@espalier/plugin-block-low-rank';
import {
  blockCodes,
  groupReduce,
  prune,
  quantizeOnly,
  svd,
  weightedSvd,
} from '@espalier/preset-group-reduce';

/** A row of the ablation: what it changes, and whether it goes on from another row's result. */
export interface Row {
  readonly name: string;
  /** What happens to the dense model, or to the row's that it goes on from. */
  readonly preset: (given: RowGiven) => Preset;
  /** Whether importance is gathered on training text first. */
  readonly statistics?: boolean;
  /** The row whose retrained model this one goes on from. */
  readonly after?: string;
  /** `never`: measured as compressed; `aware`: trained as with codes, which are made at the end. */
  readonly retraining?: 'never' | 'aware';
  /** Whether the ratio changes nothing: the row is measured once. */
  readonly once?: boolean;
}

/** What a row is made for. */
export interface RowGiven {
  readonly counts: Float64Array;
  readonly blocks: number;
  /** Bytes of both matrices before over after, in float32. */
  readonly ratio: number;
}

const dense = { partition: false, importance: false, lowRank: false, quantizer: false } as const;
const layers = ['embedding', 'softmax'];
const BEST = 'better importance';

type Stages = Parameters<typeof groupReduce>[0];
type Partition = Exclude<NonNullable<NonNullable<Stages>['partition']>, false>;

/** The paper's stages in float32 without refinement, but for what is given. */
function factors(
  { counts, blocks, ratio }: RowGiven,
  stages: Stages & { refine?: Partition['refine'] } = {},
) {
  const { refine = false, ...others } = stages;
  const partition = { counts, blocks, refine };
  return groupReduce({ partition, quantizer: false, lowRank: { ratio }, ...others });
}

const root = { rows: 'counts', power: 0.5 } as const;
const covariance = { ...root, metric: 'hidden-covariance', softmax: 'softmax' } as const;
const greedy = { rule: 'greedy' } as const;
const wide = { fraction: 1 };

/** The rows: up to the codes each adds one thing to the row above it; then other ways to the size. */
export const ROWS: readonly Row[] = [
  { name: 'dense', once: true, preset: () => groupReduce(dense) },
  { name: 'SVD', preset: ({ ratio }) => svd({ ratio }) },
  { name: 'weighted SVD', preset: ({ ratio, counts }) => weightedSvd({ ratio, counts }) },
  {
    name: 'blocks',
    preset: (given) => factors(given, { importance: false, ranks: { rule: 'uniform' } }),
  },
  { name: 'dynamic rank', preset: (given) => factors(given, { importance: false }) },
  { name: 'weights', preset: (given) => factors(given) },
  {
    name: 'weights + 8-bit',
    retraining: 'never',
    preset: (given) => factors(given, { quantizer: { bits: 8 } }),
  },
  { name: 'refinement', preset: (given) => factors(given, { refine: true }) },
  { name: 'wide refinement', preset: (given) => factors(given, { refine: wide }) },
  {
    name: 'greedy ranks',
    preset: (given) => factors(given, { refine: wide, ranks: greedy }),
  },
  {
    name: 'root of counts',
    preset: (given) => factors(given, { refine: wide, ranks: greedy, importance: root }),
  },
  {
    name: BEST,
    statistics: true,
    preset: (given) => factors(given, { refine: wide, ranks: greedy, importance: covariance }),
  },
  ...([8, 4, 3, 2] as const).map((bits) => codes(`${bits}-bit`, { bits })),
  ...([4, 3, 2] as const).map((bits): Row => {
    return { ...codes(`${bits}-bit aware`, { bits, qat: 'lsq' }), retraining: 'aware' };
  }),
  { name: 'retrained twice', after: BEST, preset: () => groupReduce(dense) },
  {
    name: 'quantize only',
    retraining: 'never',
    preset: ({ ratio }) => quantizeOnly({ bits: bitsFor(ratio), layers }),
  },
  {
    name: 'block codes',
    statistics: true,
    retraining: 'never',
    preset: (given) => blocksInCodes(given),
  },
  {
    name: 'block codes retrained',
    statistics: true,
    preset: (given) => blocksInCodes(given),
  },
  {
    name: 'block codes aware',
    statistics: true,
    retraining: 'aware',
    preset: (given) => blocksInCodes(given, true),
  },
  { name: 'prune', preset: ({ ratio }) => prune({ ratio, layers }) },
];

/**
 * Codes of blocks, chosen in one go for the size, with the importance of “better importance”; retraining changes the
 * rest of the model.
 */
function blocksInCodes({ counts, ratio }: RowGiven, qat = false): Preset {
  return {
    extends: blockCodes({ counts, ratio, layers, qat }),
    plugins: { 'word-importance': { use: wordImportance, options: covariance } },
  };
}

/** The retrained factors in codes. */
function codes(name: string, options: Parameters<typeof quantizeOnly>[0]): Row {
  const preset = () => quantizeOnly({ ...options, layers });
  return { name, after: BEST, retraining: 'never', preset };
}

/** The most bits that come near a ratio. */
function bitsFor(ratio: number): 8 | 4 | 2 {
  if (ratio > 12) return 2;
  return ratio > 7 ? 4 : 8;
}

/** Which rows are measured at which ratios, in order. */
export function trialsOf(names: readonly string[], ratios: readonly number[]) {
  const rows = ROWS.filter(({ name }) => names.includes(name));
  return [
    ...rows.filter(({ once }) => once).map((row) => ({ row, ratio: 1 })),
    ...ratios.flatMap((ratio) => rows.filter(({ once }) => !once).map((row) => ({ row, ratio }))),
  ];
}

/** The row's preset, with other plugins of the run beside it. */
export function presetOf({ preset }: Row, given: RowGiven, plugins: PluginEntries): Preset {
  return { extends: preset(given), plugins };
}
