import type { HostTensor } from '@espalier/checkpoint';
import { readAllTensors } from './files/matrix-file.js';
import { openMatrices } from './open-matrices.js';

/**
 * Reads the tensors of a file or a folder whole, with all their bits; see {@link openMatrices} for the formats and
 * for reading in pieces. A matrix without a name in the file is called as the file, without its extension.
 *
 * @throws EspalierError as {@link openMatrices} does.
 * @example
 * const tensors = await readMatrices('model.safetensors');
 */
export async function readMatrices(path: string): Promise<ReadonlyMap<string, HostTensor>> {
  const file = await openMatrices(path);
  try {
    return await readAllTensors(file);
  } finally {
    await file.close();
  }
}
