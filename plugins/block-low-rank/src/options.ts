import { parseBytes } from '@espalier/compression';
import { z } from 'zod';

export const bytes = z.union([
  z.number().positive(),
  z.string().refine((text) => parseBytes(text) !== undefined, "must be a size such as '10MB'"),
]);
const rank = z.int().positive();
const layerNames = z
  .array(z.string())
  .min(1)
  .refine((names) => new Set(names).size === names.length, 'a layer is named twice');

/** How small, or how close, matrices shall become. */
const target = z.strictObject({
  /** Bytes before over bytes after, of each matrix; the default is 4. */
  ratio: z.number().gt(1).optional(),
  /** Bytes for all matrices together, shared out by their size: a number, or `'10MB'`. */
  budget: bytes.optional(),
  /** Relative weighted error that a matrix may have: between 0 and 1. */
  maxError: z.number().gt(0).lt(1).optional(),
  /** The rank of every block, or of each. */
  rank: z.union([rank, z.array(rank).min(1)]).optional(),
});

const isOneTarget = ({ ratio, budget, maxError, rank }: ParsedTarget) =>
  [ratio, budget, maxError, rank].filter((each) => each !== undefined).length <= 1;
const ONE_TARGET = 'give one of ratio, budget, maxError and rank';

/** The target of `factorMatrix`, as data. */
export const targetOptions = target.refine(isOneTarget, ONE_TARGET);

/** Which layers, as data. */
export const layerOptions = {
  /** Names of the layers, or `auto`: every embedding and wide dense layer that is large enough. */
  layers: z.union([z.literal('auto'), layerNames]).default('auto'),
  /** With `auto`: the least numbers that a matrix must have. */
  minSize: z.int().positive().default(50_000),
} as const;

/** What becomes of an embedding and a dense layer that hold one matrix: they `share` it, it is `split` in two, or `refuse`d. */
export const tied = z.enum(['share', 'split', 'refuse']).default('share');

/** The options of `blockLowRank`, as data. */
export const blockLowRankOptions = target
  .extend({
    ...layerOptions,
    tied,
  })
  .refine(isOneTarget, ONE_TARGET);

/** How small, or how close, a matrix shall become: one of these, or a ratio of 4. */
export type TargetOptions = z.input<typeof targetOptions>;
export type ParsedTarget = z.output<typeof target>;

/** Options of `blockLowRank`. */
export type BlockLowRankOptions = z.input<typeof blockLowRankOptions>;
export type ParsedOptions = z.output<typeof blockLowRankOptions>;
