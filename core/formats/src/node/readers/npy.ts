import { NPY_START } from '../../npy/header.js';
import { readNpyLayout } from '../../npy/npy.js';
import { readStart, sliceSource } from '../files/byte-source.js';
import type { ByteSource } from '../files/byte-source.js';
import type { FileTensor } from '../files/matrix-file.js';
import { stridedTensor } from '../files/strided-tensor.js';

/** The array of a `.npy` file, of either order of bytes and of dimensions. */
export async function readNpy(source: ByteSource, name: string): Promise<FileTensor> {
  const { start, ...layout } = readNpyLayout(await readStart(source, NPY_START), source.size);
  const size = source.size - start;
  return stridedTensor({ ...layout, name, source: sliceSource(source, start, size) });
}
