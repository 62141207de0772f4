import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { EspalierError } from '@espalier/base';
import type { CheckpointStore } from '@espalier/checkpoint';
import { fileStore } from '@espalier/checkpoint/node';
import type { FileOperations, FileStore } from '@espalier/checkpoint/node';
import type { ArtifactBytes } from '../artifact/bytes.js';
import { isNamedFile, listNamedFiles, MANIFEST, parseManifest } from '../artifact/manifest.js';
import { withArtifact } from '../artifact/pack.js';
import type { ArtifactContent, ArtifactFile } from '../artifact/pack.js';
import { unpackArtifact } from '../artifact/unpack.js';
import type { LoadedArtifact } from '../artifact/unpack.js';
import { withStoreErrors } from './store-errors.js';

/**
 * Saves a model as a folder. The new files are written beside the old ones, then the manifest
 * takes the old one's place, then the old files go: a kill or a full disk at any moment leaves the
 * previous artifact, or the new one, whole. One writer at a time.
 *
 * @returns where the bytes are.
 * @throws EspalierError `artifact/folder` where something else is in the folder, `artifact/store`
 * with the system's error and what to do, and what `packArtifact` throws.
 * @example
 * const { total } = await saveArtifact('models/small', { model, edits: session.inspect().edits });
 */
export async function saveArtifact(
  dir: string,
  content: ArtifactContent,
  options: { readonly files?: Partial<FileOperations> } = {},
): Promise<ArtifactBytes> {
  const store = fileStore(dir, options);
  const obsolete = await withStoreErrors('artifact/store', `save the artifact in ${dir}`, () =>
    findObsolete(store),
  );
  return withArtifact(content, hashPieces, async ({ files, bytes }) => {
    await withStoreErrors('artifact/store', `save the artifact in ${dir}`, () =>
      replace(store, files, obsolete),
    );
    return bytes;
  });
}

/**
 * Restores the model that {@link saveArtifact} saved; see {@link unpackArtifact}.
 *
 * @throws EspalierError `artifact/store` when a file cannot be read, and what
 * {@link unpackArtifact} throws.
 * @example
 * const { model, manifest } = await loadArtifact('models/small');
 */
export function loadArtifact(dir: string): Promise<LoadedArtifact> {
  const store = fileStore(dir);
  return unpackArtifact((name) =>
    withStoreErrors('artifact/store', `load the artifact in ${dir}`, () => store.read(name)),
  );
}

async function hashPieces(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

async function replace(
  store: FileStore,
  files: readonly ArtifactFile[],
  obsolete: readonly string[],
): Promise<void> {
  const named = files.map(({ name }) => name).filter(isNamedFile);
  try {
    for (const { name, pieces } of files) await store.writePieces(name, pieces());
  } catch (error) {
    await discard(store, named).catch(() => undefined); // the first error matters more
    throw error;
  }
  for (const name of obsolete) if (!named.includes(name)) await store.remove(name);
}

/** Removes what a failed save wrote, unless its manifest has come to name it, or the earlier one does. */
async function discard(store: CheckpointStore, names: readonly string[]): Promise<void> {
  const inUse = (await filesInUse(store)) ?? [];
  for (const name of names) if (!inUse.includes(name)) await store.remove(name);
}

/**
 * The files to remove once a new artifact is there: those in use, and those that saves of earlier
 * processes left when they were killed.
 */
async function findObsolete(store: CheckpointStore): Promise<readonly string[]> {
  const names = await store.list();
  const inUse = await filesInUse(store);
  if (!inUse && !names.every(isNamedFile)) throw occupiedError(store, names);
  const started = Date.now() - process.uptime() * 1000;
  const isOld = async (name: string) =>
    (await fs.stat(join(store.location, name))).mtimeMs < started;
  const found = names.filter(isNamedFile);
  const old = await Promise.all(
    found.map(async (name) => inUse?.includes(name) || (await isOld(name))),
  );
  return found.filter((_, i) => old[i]);
}

/** The files that the folder's manifest names; `undefined` where there is no manifest. */
async function filesInUse(store: CheckpointStore): Promise<readonly string[] | undefined> {
  if (!(await store.list()).includes(MANIFEST)) return undefined;
  const bytes = await store.read(MANIFEST);
  return parseManifest(bytes).then(listNamedFiles, (cause) => {
    throw occupiedError(store, [MANIFEST], cause);
  });
}

function occupiedError(store: CheckpointStore, names: readonly string[], cause?: unknown) {
  const reason = cause instanceof Error ? ` (${cause.message})` : '';
  return new EspalierError('artifact/folder', {
    problem: `${store.location} holds files that are not an artifact of this version${reason}`,
    received: names.slice(0, 5),
    fix: 'Choose an empty or new folder. Nothing was changed.',
    cause,
  });
}
