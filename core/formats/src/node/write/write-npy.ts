import { encodeNpyHeader } from '../../npy/npy.js';
import { bytesOf, readGroups, writeFileWhole } from './write-file.js';
import type { RowSource, WriteOptions } from './write-file.js';

/**
 * Writes a matrix as a `.npy` file of float32, some rows at a time. A kill or a full disk leaves the old file or
 * the new one.
 *
 * @throws EspalierError `matrices/write` with the error of the system.
 * @example
 * const file = await openMatrices('glove.6B.100d.txt');
 * for (const matrix of file.tensors.values()) await writeNpy('glove.npy', matrix);
 */
export async function writeNpy(
  path: string,
  matrix: RowSource,
  options: WriteOptions = {},
): Promise<void> {
  await writeFileWhole(path, encode(matrix, options), options);
}

async function* encode(
  matrix: RowSource,
  { onProgress }: WriteOptions,
): AsyncGenerator<Uint8Array> {
  yield encodeNpyHeader('F32', matrix.shape);
  for await (const { values } of readGroups(matrix, onProgress)) yield bytesOf(values);
}
