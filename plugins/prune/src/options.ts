import { parseBytes } from '@espalier/compression';
import { z } from 'zod';

const bytes = z.union([
  z.number().positive(),
  z.string().refine((text) => parseBytes(text) !== undefined, "must be a size such as '10MB'"),
]);

/** The options of `prune`, as data. */
export const pruneOptions = z
  .strictObject({
    /** Names of the layers, or `auto`: every embedding and wide dense layer that is large enough. */
    layers: z.union([z.literal('auto'), z.array(z.string()).min(1)]).default('auto'),
    /** With `auto`: the least numbers that a matrix must have. */
    minSize: z.int().positive().default(50_000),
    /** Bytes before over bytes after, of each matrix; the default is 4. */
    ratio: z.number().gt(1).optional(),
    /** Bytes for all matrices together, shared out by their size: a number, or `'10MB'`. */
    budget: bytes.optional(),
    /** Share of the numbers that are kept: between 0 and 1. */
    density: z.number().gt(0).lt(1).optional(),
  })
  .refine(
    ({ ratio, budget, density }) =>
      [ratio, budget, density].filter((each) => each !== undefined).length <= 1,
    'give one of ratio, budget and density',
  );

/** Options of `prune`. */
export type PruneOptions = z.input<typeof pruneOptions>;
export type ParsedOptions = z.output<typeof pruneOptions>;
