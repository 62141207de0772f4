import { basename, dirname, resolve } from 'node:path';
import { EspalierError, fileError } from '@espalier/base';
import { makeFolder } from '@espalier/base/node';
import { removeLeftovers, writeWhole } from '@espalier/checkpoint/node';
import type { FileOperations } from '@espalier/checkpoint/node';

/** Options of the functions that write matrices. */
export interface WriteOptions {
  /** Is called with rows. */
  readonly onProgress?: OnWriteProgress | undefined;
  /** The file operations, so that tests can make any of them fail. */
  readonly files?: Partial<FileOperations>;
}

type OnWriteProgress = (progress: { readonly done: number; readonly total: number }) => void;

/** A matrix that is written row by row, such as a `FileTensor`. */
export interface RowSource {
  readonly name: string;
  /** Rows and columns. */
  readonly shape: readonly number[];
  /** Rows `begin` to `end`, exclusive, row-major. */
  readRows(begin: number, end: number): Promise<Float32Array>;
}

const CHUNK = 2 ** 20; // numbers

/** Writes a file so that a kill or a full disk leaves the old one or the new one. Its folder is made. */
export async function writeFileWhole(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  { files = {} }: WriteOptions,
): Promise<void> {
  try {
    const folder = dirname(resolve(path));
    makeFolder(folder);
    await removeLeftovers(folder, basename(path));
    await writeWhole(path, chunks, { files });
  } catch (error) {
    if (error instanceof EspalierError) throw error;
    throw fileError('matrices/write', `cannot write ${path}`, error);
  }
}

/** The rows of a matrix in groups. */
export async function* readGroups(
  { name, shape, readRows }: RowSource,
  onProgress?: OnWriteProgress,
): AsyncGenerator<{ readonly values: Float32Array; readonly begin: number; readonly end: number }> {
  const [rows = 1, ...inner] = shape;
  const columns = inner.reduce((size, n) => size * n, 1);
  const step = Math.max(1, Math.floor(CHUNK / Math.max(1, columns)));
  for (let begin = 0; begin < rows; begin += step) {
    const end = Math.min(begin + step, rows);
    const values = await readRows(begin, end);
    if (values.length !== (end - begin) * columns) {
      throw new EspalierError('matrices/write', {
        problem: `the rows ${begin} to ${end} of '${name}' have ${values.length} numbers, not ${(end - begin) * columns}`,
        fix: 'Let readRows give one float32 number for each entry.',
      });
    }
    yield { values, begin, end };
    onProgress?.({ done: end, total: rows });
  }
}

/** The bytes of an array, not copied. */
export function bytesOf(array: ArrayBufferView<ArrayBufferLike>): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
