import { parseBytes } from '@espalier/compression';
import { z } from 'zod';
import { bytes } from '../options.js';

const share = z.number().nonnegative().optional();

/** What errors are measured by, as data. */
export const objective = z.union([
  z.enum(['counts', 'uniform', 'neighbours', 'importance']),
  z
    .strictObject({ counts: share, uniform: share, neighbours: share, importance: share })
    .refine((shares) => Object.values(shares).some((each) => each! > 0), 'give a share above 0'),
]);

/** How small, or how close, and what closeness is. */
export const codeTarget = z.strictObject({
  /** Bytes in float32 over bytes after, of each matrix; the default is 8. */
  ratio: z.number().gt(1).optional(),
  /** Bytes after: a number, or `'10MB'`. */
  budget: bytes.optional(),
  /** Root of the objective that a matrix may have: between 0 and 1. */
  maxError: z.number().gt(0).lt(1).optional(),
  objective: objective.optional(),
});

export const isOneCodeTarget = ({ ratio, budget, maxError }: ParsedCodeTarget) =>
  [ratio, budget, maxError].filter((each) => each !== undefined).length <= 1;
export const ONE_CODE_TARGET = 'give one of ratio, budget and maxError';

export type CodeTargetOptions = z.input<typeof codeTarget>;
export type ParsedCodeTarget = z.output<typeof codeTarget>;

/** The bytes or the error that are asked for, where the matrix takes `dense` bytes in float32. */
export function readTarget(
  { ratio = 8, budget, maxError }: ParsedCodeTarget,
  dense: number,
): { readonly bytes: number } | { readonly error: number } {
  if (maxError !== undefined) return { error: maxError };
  if (budget === undefined) return { bytes: dense / ratio };
  return { bytes: typeof budget === 'string' ? parseBytes(budget)! : budget };
}
