import { EspalierError } from '@espalier/base';
import type { FileTensor } from '../files/matrix-file.js';
import type { ZipEntry } from '../files/zip.js';
import { readNpy } from './npy.js';

/** The arrays of an `.npz` archive, by the names that `numpy.savez` was given. */
export async function readNpz(entries: readonly ZipEntry[]): Promise<FileTensor[]> {
  const tensors: FileTensor[] = [];
  for (const entry of entries) {
    const name = entry.name.replace(/\.npy$/, '');
    try {
      tensors.push(await readNpy(await entry.open(), name));
    } catch (error) {
      throw error instanceof EspalierError ? error.withPrefix(entry.name) : error;
    }
  }
  return tensors;
}
