import { encodeSafetensorsHeader, sortByWidth } from '@espalier/checkpoint';
import type { DescribedTensor, HostTensor } from '@espalier/checkpoint';
import { bytesOf, readGroups, writeFileWhole } from './write-file.js';
import type { RowSource, WriteOptions } from './write-file.js';

/** A tensor on the host, or a matrix that is written row by row as F32. */
export type WrittenTensor = RowSource | (HostTensor & { readonly name: string });

/**
 * Writes a safetensors file, some rows at a time. A kill or a full disk leaves the old file or the new one.
 *
 * @throws EspalierError `safetensors/entry` on a reserved or repeated name; `matrices/write` with the error of
 * the system.
 * @example
 * const file = await openMatrices('pytorch_model.bin');
 * await writeSafetensors('model.safetensors', [...file.tensors.values()]);
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly WrittenTensor[],
  options: WriteOptions = {},
): Promise<void> {
  await writeFileWhole(path, encode(tensors.map(describe), options), options);
}

type Described = DescribedTensor & { readonly tensor: WrittenTensor };

function describe(tensor: WrittenTensor): Described {
  const { name, shape } = tensor;
  return { name, shape, dtype: 'data' in tensor ? tensor.dtype : 'F32', tensor };
}

async function* encode(
  entries: readonly Described[],
  { onProgress }: WriteOptions,
): AsyncGenerator<Uint8Array> {
  yield encodeSafetensorsHeader(entries);
  for (const { tensor } of sortByWidth(entries)) {
    if ('data' in tensor) yield bytesOf(tensor.data);
    else for await (const { values } of readGroups(tensor, onProgress)) yield bytesOf(values);
  }
}
