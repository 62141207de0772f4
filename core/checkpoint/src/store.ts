import { EspalierError } from '@espalier/base';
import { packCheckpoint, unpackCheckpoint } from './checkpoint.js';
import type { Checkpoint } from './checkpoint.js';

/** Where checkpoints are kept. `write` is all or nothing: a reader sees the old bytes or the new. */
export interface CheckpointStore {
  /** For messages: a folder, a URL, `memory`. */
  readonly location: string;
  /** Stores bytes under a name, all or nothing; replaces what has that name. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** The bytes of a name. */
  read(name: string): Promise<Uint8Array>;
  /** Oldest first, which is the order of names. */
  list(): Promise<readonly string[]>;
  /** Does nothing when there is no such name. */
  remove(name: string): Promise<void>;
  /**
   * Makes the store one run's, until the function that it gives is called: others are refused, and a `write` or
   * `remove` after a takeover is.
   *
   * @throws EspalierError `place/in-use`.
   */
  claim?(): Promise<() => Promise<void>>;
}

/**
 * Keeps checkpoints in memory: for tests, notebooks and pages.
 *
 * @throws EspalierError `checkpoint/store` when a name is read that the store does not hold.
 * @example
 * const store = memoryStore();
 * const session = await createSession({ …, checkpoint: { store } });
 */
export function memoryStore(): CheckpointStore {
  const files = new Map<string, Uint8Array>();
  let isClaimed = false;
  return {
    location: 'memory',
    write: async (name, bytes) => void files.set(name, bytes.slice()),
    read: async (name) => {
      const bytes = files.get(name);
      if (bytes) return bytes.slice();
      throw new EspalierError('checkpoint/store', {
        problem: `memory holds no checkpoint '${name}'`,
        fix: 'Choose one that list() names.',
      });
    },
    list: async () => [...files.keys()].sort(),
    remove: async (name) => void files.delete(name),
    claim: async () => {
      if (isClaimed) throw inUseError();
      isClaimed = true;
      return async () => void (isClaimed = false);
    },
  };
}

function inUseError(): EspalierError {
  return new EspalierError('place/in-use', {
    problem: 'this store in memory belongs to another session, which is under way',
    fix: 'Wait until its fit has ended (a loop of your own: endFit or dispose), or take another store.',
  });
}

/**
 * Writes a checkpoint as `step-000000120.safetensors`, then removes those older than the `keep`
 * newest good ones (the new one counts). Older ones are verified before they count, so the last
 * good one is never removed. Files of other names are left alone.
 *
 * @returns the name.
 * @example
 * await saveCheckpoint(fileStore('runs/a'), { manifest, tensors }, { step: 120, keep: 3 });
 */
export async function saveCheckpoint(
  store: CheckpointStore,
  checkpoint: Checkpoint,
  { step, keep = 2 }: { readonly step: number; readonly keep?: number },
): Promise<string> {
  const name = `step-${String(step).padStart(9, '0')}.safetensors`;
  await store.write(name, await packCheckpoint(checkpoint));
  let good = 1;
  for (const other of (await newestFirst(store)).filter((other) => other !== name)) {
    if (good >= keep) await store.remove(other);
    else if (await isGood(store, other)) good += 1;
  }
  return name;
}

/** A checkpoint and the name it was stored under. */
export interface LoadedCheckpoint extends Checkpoint {
  /** Its name in the store. */
  readonly name: string;
}

/**
 * The newest checkpoint that verifies; `undefined` when there is none at all. Each damaged or
 * unreadable one that had to be passed over is reported to `onSkip`.
 *
 * @throws EspalierError `checkpoint/none-good` when all are damaged (it lists them), and
 * `checkpoint/newer-format` rather than going back behind a later release.
 * @example
 * const latest = await loadLatest(store, (name, error) => console.warn(name, error.message));
 */
export async function loadLatest(
  store: CheckpointStore,
  onSkip?: (name: string, error: EspalierError) => void,
): Promise<LoadedCheckpoint | undefined> {
  const skipped: EspalierError[] = [];
  for (const name of await newestFirst(store)) {
    try {
      return { name, ...(await load(store, name)) };
    } catch (error) {
      if (!isSkippable(error)) throw error;
      skipped.push(error);
      onSkip?.(name, error);
    }
  }
  if (skipped.length === 0) return undefined;
  throw new EspalierError('checkpoint/none-good', {
    problem: `none of the ${skipped.length} checkpoints in ${store.location} can be used:\n${skipped.map(({ message }) => `- ${message}`).join('\n')}\n`,
    fix: 'Restore one from a copy, or start anew in an empty place.',
  });
}

async function newestFirst(store: CheckpointStore): Promise<string[]> {
  const names = (await store.list()).filter((name) => /^step-\d+\.safetensors$/.test(name));
  const parseStep = (name: string) => Number(name.slice(5, -12));
  return names.sort((a, b) => parseStep(b) - parseStep(a));
}

async function load(store: CheckpointStore, name: string): Promise<Checkpoint> {
  return unpackCheckpoint(await store.read(name), `${store.location}/${name}`);
}

async function isGood(store: CheckpointStore, name: string): Promise<boolean> {
  return load(store, name).then(
    () => true,
    () => false,
  );
}

function isSkippable(error: unknown): error is EspalierError {
  const codes = ['checkpoint/damaged', 'checkpoint/store'];
  return error instanceof EspalierError && codes.includes(error.code);
}
