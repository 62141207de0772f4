import type { Matrix, StoredEdit } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import type { QuantizedMatrix } from '../choose-matrices.js';

/** Squared error and squared length, from the relative error. */
export function computeCost(
  { data }: Matrix,
  { error }: { readonly error: number },
): Pick<StoredEdit, 'error' | 'norm'> {
  let norm = 0;
  for (const value of data) norm += value ** 2;
  return { error: error ** 2 * norm, norm };
}

/** Adds layer and matrix to what is wrong with the numbers. */
export async function naming<T>(
  { layer, matrix }: QuantizedMatrix,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    const problem = `layer '${layer}', matrix '${matrix}': ${error.parts.problem}`;
    throw new EspalierError(error.code, { ...error.parts, problem });
  }
}
