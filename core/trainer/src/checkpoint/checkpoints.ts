import { EspalierError } from '@espalier/base';
import { saveCheckpoint } from '@espalier/checkpoint';
import type { CheckpointStore } from '@espalier/checkpoint';
import type { Run } from '../run.js';
import { refuseNonFinite } from './refuse-non-finite.js';
import { restore } from './restore.js';
import type { LoadOptions } from './restore.js';
import type { RunManifest } from './run-manifest.js';
import { refuseUnresumable, takeSnapshot } from './snapshot.js';

/** When and where checkpoints go. */
export interface CheckpointOptions {
  readonly store: CheckpointStore;
  /** Every so many optimizer steps. */
  readonly everySteps?: number;
  /** Every so many epochs; default 1. */
  readonly everyEpochs?: number;
  /** How many to keep; default 2. */
  readonly keep?: number;
}

/** The checkpoints of a run: when they are written, and whose the store is. */
export class Checkpoints {
  /** Whether the store's checkpoints are this run's: it loaded or wrote them. */
  #ownsStore = false;
  /** The moment that the newest checkpoint in the run's store holds. */
  #saved: string | undefined;

  constructor(
    private readonly run: Run,
    private readonly options: CheckpointOptions | undefined,
  ) {}

  /**
   * Makes sure that the run may write into its store, before anything is computed.
   *
   * @throws EspalierError `checkpoint/occupied` where the store holds another run's checkpoints.
   */
  async claim(): Promise<void> {
    if (this.options && !this.#ownsStore) await claimStore(this.options.store);
    this.#ownsStore = true;
  }

  /** Writes a checkpoint into the run's store (or another); returns its name. */
  async save(store = this.options?.store): Promise<string> {
    const { run } = this;
    const target = requireStore(store);
    refuseUnresumable(run);
    run.followValues();
    const moment = describeMoment(run);
    const checkpoint = await takeSnapshot(run);
    refuseNonFinite(run, checkpoint);
    const { step } = (checkpoint.manifest as RunManifest).clock;
    const name = await saveCheckpoint(target, checkpoint, { step, keep: this.options?.keep });
    if (this.#isOwn(target)) [this.#ownsStore, this.#saved] = [true, moment];
    run.telemetry.emit('checkpoint', { name, step: run.clock.step });
    return name;
  }

  /** Takes over the newest good checkpoint; false where the store is empty. */
  async load({ store = this.options?.store, ...options }: LoadOptions): Promise<boolean> {
    const source = requireStore(store);
    const found = await restore(this.run, source, options);
    this.#ownsStore ||= found && this.#isOwn(source);
    return found;
  }

  async afterStep(): Promise<void> {
    const { everySteps } = this.options ?? {};
    if (everySteps && this.run.clock.step % everySteps === 0) await this.save();
  }

  async afterEpoch(): Promise<void> {
    if (!this.options) return;
    const { everyEpochs = 1 } = this.options;
    if (this.run.clock.epoch % everyEpochs === 0) await this.save();
  }

  /** Saves, unless the newest checkpoint holds this very moment or the run has no store. */
  async saveIfChanged(): Promise<void> {
    if (this.options && this.#saved !== describeMoment(this.run)) await this.save();
  }

  #isOwn({ location }: CheckpointStore): boolean {
    return location === this.options?.store.location;
  }
}

/** Distinguishes moments of a run by what a checkpoint of them would hold. */
function describeMoment({ clock, epoch, stopReason, progress, assignments }: Run): string {
  return JSON.stringify([clock, epoch.begun, stopReason, progress.done, assignments]);
}

/** The file by which a store is tested. */
const WRITE_TEST = 'probe';

/** Refuses a store that is another run's or cannot be written to. */
async function claimStore(store: CheckpointStore): Promise<void> {
  const names = (await store.list()).filter((name) => name !== WRITE_TEST);
  if (names.length > 0) {
    throw new EspalierError('checkpoint/occupied', {
      problem: `${store.location} already holds checkpoints of another run: ${names.join(', ')}`,
      fix: 'Call session.load() to go on with that run, or choose another place; nothing was touched.',
    });
  }
  await store.write(WRITE_TEST, new Uint8Array());
  await store.remove(WRITE_TEST);
}

function requireStore(store: CheckpointStore | undefined): CheckpointStore {
  if (store) return store;
  throw new EspalierError('session/no-store', {
    problem: 'this session has no checkpoint store',
    fix: "Pass checkpoint: { store: fileStore('runs/a') } (from @espalier/core/node).",
  });
}
