import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The file operations of a store, so that tests can make any of them fail or kill the process. */
export interface FileOperations {
  /** As in `node:fs/promises`. */
  open(path: string, flags: string): Promise<FileHandle>;
  /** Writes all bytes. */
  write(file: FileHandle, bytes: Uint8Array): Promise<void>;
  /** Waits until the disk has them. */
  fsync(file: FileHandle): Promise<void>;
  /** As in `node:fs/promises`. */
  rename(from: string, to: string): Promise<void>;
}

const REAL: FileOperations = {
  open: fs.open,
  write: (file, bytes) => file.writeFile(bytes),
  fsync: (file) => file.sync(),
  rename: fs.rename,
};

/**
 * Writes a file aside (`.tmp-…`), fsyncs and renames it, and fsyncs its folder: a kill or a full disk at any
 * moment leaves the old file or the new one.
 *
 * @param chunks The content, in order; each is written before the next one is asked for.
 * @throws what the file system or `chunks` throws; the old file is then still there.
 * @example
 * await writeWhole('matrix.npy', [header, data]);
 */
export async function writeWhole(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: { readonly files?: Partial<FileOperations> } = {},
): Promise<void> {
  const files = { ...REAL, ...options.files };
  const folder = dirname(path);
  const aside = join(folder, `.tmp-${basename(path)}-${process.pid}-${randomUUID()}`);
  try {
    await withFile(files, aside, 'wx', async (file) => {
      for await (const chunk of chunks) await files.write(file, chunk);
      await files.fsync(file);
    });
    await files.rename(aside, path);
  } catch (error) {
    await fs.rm(aside, { force: true }).catch(() => undefined); // the first error matters more
    throw error;
  }
  // The rename itself must reach the disk; Windows cannot fsync a folder.
  if (process.platform !== 'win32') await withFile(files, folder, 'r', files.fsync);
}

/**
 * Removes what writers that are dead left aside in a folder.
 *
 * @param of Only those of the file of this name.
 */
export async function removeLeftovers(folder: string, of?: string): Promise<void> {
  for (const name of await fs.readdir(folder)) {
    const [, target, writer] = /^\.tmp-(.+)-(\d+)-[\da-f-]{36}$/.exec(name) ?? [];
    if (!writer || (of !== undefined && target !== of)) continue;
    const path = join(folder, name);
    if (await isDead(Number(writer), path)) await fs.rm(path, { force: true });
  }
}

async function withFile(
  files: FileOperations,
  path: string,
  flags: string,
  work: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await files.open(path, flags);
  try {
    await work(file);
  } finally {
    await file.close();
  }
}

async function isDead(pid: number, path: string): Promise<boolean> {
  if (pid === process.pid) {
    // In a container every process may get the same id: what is older than this one is not its own.
    const written = await fs.stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity, // renamed by now
    );
    return written < Date.now() - process.uptime() * 1000;
  }
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
