import type { BackendInfo } from '@espalier/backend';
import type { Objective } from '@espalier/compression';
import { EspalierError, parseOptions } from '@espalier/core';
import type { PresetSource, ResolveOptions } from '@espalier/core';
import * as z from 'zod';
import type { OnCompressEvent } from './events.js';

/** How to compress a model. At most one of `ratio`, `budget` and `maxError` sets the target. */
export interface CompressOptions extends Pick<ResolveOptions, 'load' | 'modules'> {
  /** The plugins that compress, e.g. `groupReduce()` of `@espalier/preset-group-reduce`. */
  readonly preset: PresetSource;
  /** How many times smaller the compressed matrices become; above 1. Default 8. */
  readonly ratio?: number | undefined;
  /** Bytes of all compressed matrices together (`parseBytes('10MB')` of `@espalier/compression`). */
  readonly budget?: number | undefined;
  /** The largest relative error ‖A − Ã‖ / ‖A‖ of each matrix; between 0 and 1. */
  readonly maxError?: number | undefined;
  /** Bits of a number in the result; `none`: no quantization. Default: those of the preset. */
  readonly bits?: 8 | 4 | 3 | 2 | 'none' | undefined;
  /** What errors are measured by, where the preset chooses bits by it (`blockCodes()`). Default: see there. */
  readonly objective?: Objective | undefined;
  /** How often each word occurs, by word id: one number for each row of the word matrices. */
  readonly counts?: ArrayLike<number> | undefined;
  /** Blocks that the vocabulary is divided into by word frequency. */
  readonly blocks?: number | 'auto' | undefined;
  /** Only these layers. Default: all that are large enough. */
  readonly layers?: readonly string[] | undefined;
  /** What happens to an embedding and an output layer that have one matrix in common. */
  readonly tied?: 'share' | 'split' | 'refuse' | undefined;
  /** Default: the current backend, or the best one. */
  readonly backend?: BackendInfo | undefined;
  readonly onEvent?: OnCompressEvent | undefined;
}

const shape = z.strictObject({
  preset: z.unknown(),
  load: z.unknown().optional(),
  modules: z.unknown().optional(),
  ratio: z.number().gt(1).optional(),
  budget: z.number().positive().optional(),
  maxError: z.number().gt(0).lt(1).optional(),
  bits: z.literal([8, 4, 3, 2, 'none']).optional(),
  objective: z.unknown().optional(),
  counts: z.unknown().optional(),
  blocks: z.union([z.int().positive(), z.literal('auto')]).optional(),
  layers: z.array(z.string().min(1)).nonempty().optional(),
  tied: z.enum(['share', 'split', 'refuse']).optional(),
  backend: z.unknown().optional(),
  onEvent: z.unknown().optional(),
});

/**
 * Checks the options.
 *
 * @throws EspalierError `options/invalid` with the field; `compress/targets` for more than one target.
 */
export function checkOptions(options: CompressOptions): void {
  const { ratio, budget, maxError } = parseOptions('compress', shape, options);
  const targets = Object.entries({ ratio, budget, maxError }).filter(([, value]) => value);
  if (targets.length <= 1) return;
  throw new EspalierError('compress/targets', {
    problem: 'ratio, budget and maxError exclude each other',
    received: Object.fromEntries(targets),
    fix: 'Give one of them.',
  });
}
