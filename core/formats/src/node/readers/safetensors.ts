import { measureSafetensorsHeader, readSafetensorsHeader } from '@espalier/checkpoint';
import { readStart, sliceSource } from '../files/byte-source.js';
import type { ByteSource } from '../files/byte-source.js';
import type { FileTensor } from '../files/matrix-file.js';
import { stridedTensor } from '../files/strided-tensor.js';

/** The tensors of a safetensors file. */
export async function readSafetensors(source: ByteSource): Promise<FileTensor[]> {
  const begin = measureSafetensorsHeader(await readStart(source, 8), source.size);
  const { tensors } = readSafetensorsHeader(await readStart(source, begin), source.size);
  return tensors.map(({ name, dtype, shape, begin, end }) =>
    stridedTensor({ name, dtype, shape, source: sliceSource(source, begin, end - begin) }),
  );
}
