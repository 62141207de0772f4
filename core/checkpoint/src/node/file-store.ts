import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EspalierError, fileError } from '@espalier/base';
import type { CheckpointStore } from '../store.js';

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
 * Keeps checkpoints as files of one folder, made when first written to. A file is written aside
 * (`.tmp-…`), fsynced and renamed, and the folder fsynced: a kill at any moment leaves the old file
 * or the new one. Several processes may write to one folder.
 *
 * @throws EspalierError (each method) `checkpoint/store` with path, errno and what to do; what is
 * there stays as it is.
 * @example
 * const session = await createSession({ …, checkpoint: { store: fileStore('runs/a') } });
 */
export function fileStore(
  dir: string,
  options: { readonly files?: Partial<FileOperations> } = {},
): CheckpointStore {
  const location = resolve(dir);
  const files = { ...REAL, ...options.files };
  const at = (name: string) => join(location, checkName(name));
  let opened = false;
  return {
    location,
    async write(name, bytes) {
      const path = at(name);
      await withFileErrors(`write checkpoint ${path}`, async () => {
        opened ||= await openFolder(location);
        await writeWhole(files, path, bytes);
      });
    },
    async read(name) {
      const path = at(name);
      return withFileErrors(`read checkpoint ${path}`, () => fs.readFile(path));
    },
    list: () => withFileErrors(`list checkpoints in ${location}`, () => listFiles(location)),
    async remove(name) {
      const path = at(name);
      await withFileErrors(`remove checkpoint ${path}`, () => fs.rm(path, { force: true }));
    },
  };
}

function withFileErrors<T>(doing: string, work: () => Promise<T>): Promise<T> {
  return work().catch((cause: unknown) => {
    throw fileError('checkpoint/store', `cannot ${doing}`, cause);
  });
}

async function writeWhole(files: FileOperations, path: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(path);
  const aside = join(folder, `.tmp-${basename(path)}-${process.pid}-${randomUUID()}`);
  try {
    await withFile(files, aside, 'wx', async (file) => {
      await files.write(file, bytes);
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

/** Makes the folder and removes what writers that are dead left aside. */
async function openFolder(folder: string): Promise<true> {
  await fs.mkdir(folder, { recursive: true });
  for (const name of await fs.readdir(folder)) {
    const writer = /^\.tmp-.+-(\d+)-[\da-f-]{36}$/.exec(name)?.[1];
    const path = join(folder, name);
    if (writer && (await isDead(Number(writer), path))) await fs.rm(path, { force: true });
  }
  return true;
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

async function listFiles(folder: string): Promise<string[]> {
  const entries = await fs.readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  const files = entries.filter((entry) => entry.isFile() && !entry.name.startsWith('.'));
  return files.map(({ name }) => name).sort();
}

function checkName(name: string): string {
  if (/^[^./\\][^/\\]*$/.test(name)) return name;
  throw new EspalierError('checkpoint/name', {
    problem: 'a checkpoint name must be a plain file name that begins with no dot',
    received: name,
  });
}
