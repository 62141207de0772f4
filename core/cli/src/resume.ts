import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { openStore } from '@espalier/config';
import type { LoadedConfig } from '@espalier/config';
import { EspalierError, TRAINING_DIFFERENCES } from '@espalier/core';
import type { CheckpointStore, Session } from '@espalier/core';

/** Which checkpoint to load, and how. */
export interface LoadCheckpoint {
  /** A folder or a file; default: the configuration's folder. */
  readonly path?: string;
  /** Accepted differences to the run that wrote it, by name. */
  readonly allowMismatch?: readonly string[];
  /** Whether the session trains on. If not, differences that change training only are accepted. */
  readonly trains?: boolean;
}

/** Loads the newest good checkpoint of a folder, or one given file. */
export async function loadCheckpoint(
  session: Session,
  loaded: LoadedConfig,
  { path, allowMismatch = [], trains = false }: LoadCheckpoint,
): Promise<void> {
  const from = path === undefined ? openStore(loaded) : await openStoreAt(loaded, resolve(path));
  const accepted = [...allowMismatch, ...(trains ? [] : TRAINING_DIFFERENCES)];
  if (await session.load({ store: from, allowMismatch: accepted }).catch(nameOption)) return;
  throw new EspalierError('cli/no-checkpoint', {
    problem: `there is no checkpoint in ${from.location}`,
    fix: 'Train first (without --resume), or give another file or folder.',
  });
}

/** Names the option of the command line that accepts what `session.load` refused. */
function nameOption(error: unknown): never {
  if (!(error instanceof EspalierError)) throw error;
  const { code, parts, place } = error;
  const { allowMismatch } = (parts.details ?? {}) as { allowMismatch?: readonly string[] };
  if (!allowMismatch) throw error;
  const flags = allowMismatch.map((name) => `--allow-mismatch ${name}`).join(' ');
  const fix = `Use the run's own configuration, or accept by name: ${flags}. The checkpoint is untouched.`;
  throw new EspalierError(code, { ...parts, fix }, place);
}

/** Refuses a folder with checkpoints of an earlier run, since the new ones would mix with them. */
export async function requireResume(loaded: LoadedConfig, command: string): Promise<void> {
  if (!loaded.settings.checkpoint) return;
  const { location, list } = openStore(loaded);
  if (!(await list()).some((name) => /^step-\d+\.safetensors$/.test(name))) return;
  throw new EspalierError('cli/earlier-run', {
    problem: `${location} holds checkpoints of an earlier run`,
    fix: `Resume it: ${command}. Or start a new run in another folder: --set checkpoint.dir=…`,
  });
}

async function openStoreAt(loaded: LoadedConfig, path: string): Promise<CheckpointStore> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new EspalierError('cli/no-checkpoint', { problem: `there is no ${path}`, cause });
  });
  return found.isDirectory() ? openStore(loaded, path) : singleFileStore(path);
}

/** A store with one file, under a name that counts as a checkpoint. */
function singleFileStore(path: string): CheckpointStore {
  const name = /^step-\d+\.safetensors$/.test(basename(path))
    ? basename(path)
    : 'step-0.safetensors';
  const refuseWrite = () =>
    Promise.reject(new EspalierError('cli/read-only', { problem: `${path} is read-only` }));
  return {
    location: dirname(path),
    list: () => Promise.resolve([name]),
    read: () => readFile(path),
    write: refuseWrite,
    remove: refuseWrite,
  };
}
