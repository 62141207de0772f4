import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { EspalierError, fileError } from '@espalier/base';

/** Bytes that are read where they are needed. */
export interface ByteSource {
  /** How many there are. */
  readonly size: number;
  /** Bytes `begin` to `end`, exclusive, in a new array that begins at offset 0 of its buffer. */
  read(begin: number, end: number): Promise<Uint8Array>;
}

/** A file that is open. */
export interface FileSource extends ByteSource {
  close(): Promise<void>;
}

/** The system reads less than 2 GiB at once. */
const LARGEST_READ = 2 ** 30;

/**
 * Opens a file for reading at any position.
 *
 * @throws EspalierError `matrices/file`, also where a read fails.
 */
export async function openFile(path: string): Promise<FileSource> {
  const file = await withFileErrors(path, () => open(path, 'r'));
  try {
    const { size } = await withFileErrors(path, () => file.stat());
    return {
      size,
      read: (begin, end) => withFileErrors(path, () => readAt(file, begin, end)),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A part of a source as a source of its own. */
export function sliceSource(source: ByteSource, begin: number, size: number): ByteSource {
  return { size, read: (from, to) => source.read(begin + from, begin + to) };
}

/** The first bytes of a source, fewer where it has fewer. */
export function readStart(source: ByteSource, size: number): Promise<Uint8Array> {
  return source.read(0, Math.min(size, source.size));
}

async function readAt(file: FileHandle, begin: number, end: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - begin);
  for (let done = 0; done < bytes.length;) {
    const length = Math.min(bytes.length - done, LARGEST_READ);
    const { bytesRead } = await file.read(bytes, done, length, begin + done);
    if (bytesRead === 0) throw new Error(`it ends before byte ${end}: it became shorter`);
    done += bytesRead;
  }
  return bytes;
}

async function withFileErrors<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw fileError('matrices/file', `cannot read ${path}`, cause);
  }
}
