import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { EspalierError, fileError } from '@espalier/base';
import { decodeSafetensors } from '@espalier/checkpoint';
import type { HostTensor } from '@espalier/checkpoint';
import { isNpy } from '../npy/header.js';
import { decodeNpy } from '../npy/npy.js';

const ADVICE: readonly (readonly [mark: string, what: string, fix: string])[] = [
  [
    'PK',
    'a zip archive: a PyTorch checkpoint or an .npz file',
    'Save the state dict with safetensors.torch.save_file, or one array with numpy.save.',
  ],
  [
    '\x80',
    'a Python pickle, which can run code when read',
    'Save the state dict with safetensors.torch.save_file, or an array with numpy.save.',
  ],
  ['\x89HDF', 'an HDF5 file', 'Save the arrays with safetensors, or each with numpy.save.'],
];

/**
 * Reads the tensors of a `.npy` or safetensors file, told apart by content. That of a `.npy` file is
 * called as the file, without its extension.
 *
 * @throws EspalierError `matrices/file` when the file cannot be read, `matrices/format` when it is
 * neither; `npy/…` and `safetensors/invalid` when it is not sound.
 * @example
 * const tensors = await readMatrices('model.safetensors');
 */
export async function readMatrices(path: string): Promise<ReadonlyMap<string, HostTensor>> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw fileError('matrices/file', `cannot read ${path}`, cause);
  });
  if (isNpy(bytes)) {
    return withFileName(path, () => new Map([[basename(path, extname(path)), decodeNpy(bytes)]]));
  }
  const isSafetensors = bytes[8] === 0x7b; // '{' behind the header's length
  if (isSafetensors) return withFileName(path, () => decodeSafetensors(bytes).tensors);
  const start = bytes.toString('latin1', 0, 8);
  const [, what, fix] = ADVICE.find(([mark]) => start.startsWith(mark)) ?? [];
  throw new EspalierError('matrices/format', {
    problem: `${path} is ${what ?? 'neither a .npy nor a safetensors file'}`,
    received: start,
    fix: fix ?? 'Give a file that numpy.save or safetensors wrote.',
  });
}

/** Says of which file an error is. */
function withFileName<T>(path: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw error instanceof EspalierError ? error.withPrefix(path) : error;
  }
}
