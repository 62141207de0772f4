import { parseBytes } from '@espalier/compression';
import type { StorableMatrix } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import { sparseBytes } from './bitmap.js';
import type { ParsedOptions } from './options.js';

/**
 * How many numbers of each matrix are kept; `undefined` where it is dense within its target already,
 * or would not get smaller.
 *
 * @throws EspalierError `prune/budget`, which names the smallest size.
 */
export function countKept(
  places: readonly StorableMatrix[],
  options: ParsedOptions,
): readonly (number | undefined)[] {
  const total = places.reduce((sum, { shape }) => sum + shape[0] * shape[1], 0);
  return places.map((place) => {
    const size = place.shape[0] * place.shape[1];
    if (options.density !== undefined) {
      const kept = Math.max(1, Math.round(options.density * size));
      return sparseBytes(place.shape, kept) < 4 * size ? kept : undefined;
    }
    const target = computeTargetBytes(options, size, total);
    return target < 4 * size ? countKeptWithin(place, target) : undefined;
  });
}

function computeTargetBytes(
  { budget, ratio = 4 }: ParsedOptions,
  size: number,
  total: number,
): number {
  if (budget === undefined) return (4 * size) / ratio;
  const bytes = typeof budget === 'number' ? budget : parseBytes(budget)!;
  return (bytes * size) / total;
}

function countKeptWithin({ layer, matrix, shape }: StorableMatrix, target: number): number {
  const least = sparseBytes(shape, 1);
  const kept = Math.floor((target - sparseBytes(shape, 0)) / 4);
  if (kept >= 1) return kept;
  throw new EspalierError('prune/budget', {
    problem: `layer '${layer}': the smallest possible size of '${matrix}' is ${least} bytes (a bitmap, a start for each of ${shape[0]} rows, one number)`,
    received: Math.floor(target),
    fix: 'Allow more bytes or a lower ratio.',
  });
}
