import { IMPORTANCE, WORD_COUNTS } from '@espalier/compression';
import type { ImportanceWeights, Matrix } from '@espalier/compression';
import type { BaseContext, Effects } from '@espalier/core';
import type { LayerTarget } from './layer-targets.js';

/** What is asked of the context by token. */
export type Services = Pick<BaseContext<Effects>, 'get' | 'has'>;

/**
 * Counts of the rows of a layer's matrix, where somebody provides any. An embedding has a row for each word; a dense layer
 * may be something else than a softmax.
 */
export function findCounts(
  services: Services,
  { role: side }: LayerTarget,
  { rows }: Pick<Matrix, 'rows'>,
): Float64Array | undefined {
  if (!services.has(WORD_COUNTS)) return undefined;
  const words = services.get(WORD_COUNTS);
  return side === 'softmax' && !words.fits(rows) ? undefined : words.counts(rows);
}

/** How much errors of a layer's matrix matter, where somebody says so. */
export async function findImportance(
  services: Services,
  { entry, role: side }: LayerTarget,
  matrix: Matrix,
  counts: Float64Array | undefined,
): Promise<ImportanceWeights | undefined> {
  if (!services.has(IMPORTANCE)) return undefined;
  return services
    .get(IMPORTANCE)
    .weights({ layer: entry.name, side, matrix, ...(counts && { counts }) });
}
