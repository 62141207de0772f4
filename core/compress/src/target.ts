import { EspalierError } from '@espalier/core';
import type { CompressOptions } from './options.js';

/** How small, or how close to the original, the matrices must become. */
export interface Target {
  readonly option: 'ratio' | 'budget' | 'maxError';
  readonly value: number;
}

/** The target that the options set, if any. */
export function readTarget({ ratio, budget, maxError }: CompressOptions): Target | undefined {
  if (ratio !== undefined) return { option: 'ratio', value: ratio };
  if (budget !== undefined) return { option: 'budget', value: budget };
  return maxError === undefined ? undefined : { option: 'maxError', value: maxError };
}

/** The details of `block-low-rank/budget`. */
interface ImpossibleBudget {
  readonly layer: string;
  readonly leastBytes: number;
  readonly smallestBudget?: number;
  readonly largestRatio?: number;
}

/**
 * An error of block-low-rank about a target that it cannot reach, with the limits that hold for the whole
 * compression: its own are those before quantization, for a target that is `tightness` times harder.
 *
 * `details` of the new error: `{ layer, leastBytes }` and `largestRatio` or `smallestBudget`. Scales of codes can make
 * the true limit of very small matrices a little stricter.
 */
export function withWholeLimits(error: unknown, bits: number, tightness: number): unknown {
  if (!(error instanceof EspalierError) || error.code !== 'block-low-rank/budget') return error;
  const found = error.parts.details as unknown as ImpossibleBudget;
  const factor = (bits / 32) * tightness;
  const leastBytes = Math.ceil(found.leastBytes * factor);
  const least = `layer '${found.layer}' takes ${leastBytes} bytes at least (rank 1 everywhere)`;
  const { fix } = error.parts;
  const parts = { ...(fix !== undefined && { fix }), cause: error };
  if (found.smallestBudget === undefined) {
    const largestRatio = Math.floor((100 * found.largestRatio!) / factor) / 100;
    return new EspalierError('compress/impossible-target', {
      problem: `${least}, so the largest possible ratio is ${largestRatio}`,
      ...parts,
      details: { layer: found.layer, leastBytes, largestRatio },
    });
  }
  const smallestBudget = Math.ceil(found.smallestBudget * factor);
  return new EspalierError('compress/impossible-target', {
    problem: `the smallest possible budget is ${smallestBudget} bytes: ${least}, and budgets are divided by size`,
    ...parts,
    details: { layer: found.layer, leastBytes, smallestBudget },
  });
}
