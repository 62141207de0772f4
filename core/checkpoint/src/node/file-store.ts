import * as fs from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EspalierError, fileError } from '@espalier/base';
import { claimPlace, makeFolder } from '@espalier/base/node';
import type { ClaimOptions, PlaceClaim } from '@espalier/base/node';
import type { CheckpointStore } from '../store.js';
import { removeLeftovers, writeWhole } from './write-whole.js';
import type { FileOperations } from './write-whole.js';

/** A store in a folder. */
export interface FileStore extends CheckpointStore {
  /** As `write`, of a content that is never in memory as a whole. */
  writePieces(
    name: string,
    pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void>;
}

/**
 * Keeps checkpoints as files of one folder, made when first written to. A file is written aside
 * (`.tmp-…`), fsynced and renamed, and the folder fsynced: a kill at any moment leaves the old file
 * or the new one. A run that saves into it has it alone (`claim`, {@link claimPlace}).
 *
 * @throws EspalierError (each method) `checkpoint/store` with path, errno and what to do; what is
 * there stays as it is. `claim` throws `place/in-use`, and `write` and `remove` of a claimed store
 * `place/taken-over`.
 * @example
 * const session = await createSession({ …, checkpoint: { store: fileStore('runs/a') } });
 */
export function fileStore(
  dir: string,
  options: ClaimOptions & { readonly files?: Partial<FileOperations> } = {},
): FileStore {
  const location = resolve(dir);
  const at = (name: string) => join(location, checkName(name));
  let opened = false;
  let claim: PlaceClaim | undefined;
  const writePieces: FileStore['writePieces'] = async (name, pieces) => {
    const path = at(name);
    await withFileErrors(`write checkpoint ${path}`, async () => {
      claim?.check();
      opened ||= await openFolder(location);
      await writeWhole(path, pieces, options);
    });
  };
  return {
    location,
    write: (name, bytes) => writePieces(name, [bytes]),
    writePieces,
    async read(name) {
      const path = at(name);
      return withFileErrors(`read checkpoint ${path}`, () => fs.readFile(path));
    },
    list: () => withFileErrors(`list checkpoints in ${location}`, () => listFiles(location)),
    async remove(name) {
      const path = at(name);
      await withFileErrors(`remove checkpoint ${path}`, async () => {
        claim?.check();
        await fs.rm(path, { force: true });
      });
    },
    async claim() {
      const own = await withFileErrors(`make ${location} this run's`, async () => {
        opened ||= await openFolder(location);
        return claimPlace(location, options);
      });
      claim = own;
      return async () => {
        if (claim === own) claim = undefined;
        await withFileErrors(`give ${location} back`, async () => own.release());
      };
    },
  };
}

function withFileErrors<T>(doing: string, work: () => Promise<T>): Promise<T> {
  return work().catch((cause: unknown) => {
    if (cause instanceof EspalierError) throw cause;
    throw fileError('checkpoint/store', `cannot ${doing}`, cause);
  });
}

/** Makes the folder and removes what writers that are dead left aside. */
async function openFolder(folder: string): Promise<true> {
  makeFolder(folder);
  await removeLeftovers(folder);
  return true;
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
