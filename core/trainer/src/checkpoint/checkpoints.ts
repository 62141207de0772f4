import { EspalierError } from '@espalier/base';
import { saveCheckpoint } from '@espalier/checkpoint';
import type { CheckpointStore } from '@espalier/checkpoint';
import type { Run } from '../run.js';
import { refuseNonFinite } from './refuse-non-finite.js';
import { restore } from './restore.js';
import type { LoadOptions } from './restore.js';
import type { RunManifest } from './run-manifest.js';
import { readFingerprints, refuseUnresumable, takeSnapshot } from './snapshot.js';

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

/** Gives back what was claimed. */
export type Release = () => Promise<void>;

/** The checkpoints of a run: when they are written, and whose the store is. */
export class Checkpoints {
  /** Names in the store that are this run's: it loaded or wrote them; undefined before. */
  #known: Set<string> | undefined;
  /** The moment that the newest checkpoint in the run's store holds. */
  #saved: string | undefined;
  /** Saves under way: one after another. */
  #saves: Promise<unknown> = Promise.resolve();
  /** Gives the store back, while it is this run's alone. */
  #release: Release | undefined;

  constructor(
    private readonly run: Run,
    private readonly options: CheckpointOptions | undefined,
  ) {}

  /**
   * Makes the store this run's alone, before anything is computed. What it gives ends that, where it was not so
   * before.
   *
   * @throws EspalierError `place/in-use` where a run under way has it; `checkpoint/occupied`,
   * `checkpoint/moved-on` where it holds checkpoints that this run does not know; `checkpoint/optimizer`.
   */
  async claim(): Promise<Release> {
    await this.#saves;
    const giveBack = await this.#claimOwn();
    return giveBack === nothing ? nothing : () => this.release();
  }

  /** Gives the store back: another run may go on in it. */
  async release(): Promise<void> {
    await this.#saves;
    await this.#giveBack();
  }

  async #claimOwn(): Promise<Release> {
    const store = this.options?.store;
    if (!store || this.#release) return nothing;
    refuseUnresumable(this.run);
    await readFingerprints(this.run);
    this.#release = await claimStore(store);
    try {
      await this.#takeStore(store);
    } catch (error) {
      await this.#giveBack();
      throw error;
    }
    return () => this.#giveBack();
  }

  async #giveBack(): Promise<void> {
    const release = this.#release;
    this.#release = undefined;
    await release?.();
  }

  async #takeStore(store: CheckpointStore): Promise<void> {
    const names = await listNames(store);
    if (!this.#known) {
      refuseOccupied(store, names);
      await store.write(WRITE_TEST, new Uint8Array());
      await store.remove(WRITE_TEST);
      this.#known = new Set();
    }
    const unknown = names.filter((name) => !this.#known!.has(name));
    if (unknown.length > 0) throw movedOnError(store, unknown);
  }

  /** Writes a checkpoint into the run's store (or another); returns its name. */
  async save(store = this.options?.store): Promise<string> {
    const target = requireStore(store);
    const saving = this.#saves.then(() => this.#saveAlone(target));
    this.#saves = saving.catch(() => undefined);
    return saving;
  }

  async #saveAlone(target: CheckpointStore): Promise<string> {
    const release = await this.#claimFor(target);
    try {
      return await this.#write(target);
    } finally {
      await release();
    }
  }

  async #claimFor(store: CheckpointStore): Promise<Release> {
    const hasBegun = this.#known !== undefined || this.#release !== undefined;
    return this.#isOwn(store) && hasBegun ? this.#claimOwn() : claimStore(store);
  }

  async #write(target: CheckpointStore): Promise<string> {
    const { run } = this;
    refuseUnresumable(run);
    run.followValues();
    const moment = describeMoment(run);
    const checkpoint = await takeSnapshot(run);
    refuseNonFinite(run, checkpoint);
    const { step } = (checkpoint.manifest as RunManifest).clock;
    const name = await saveCheckpoint(target, checkpoint, { step, keep: this.options?.keep });
    if (this.#isOwn(target)) {
      this.#known = (this.#known ?? new Set(await listNames(target))).add(name);
      this.#saved = moment;
    }
    run.telemetry.emit('checkpoint', { name, step: run.clock.step });
    return name;
  }

  /** Takes over the newest good checkpoint; false where the store is empty. */
  async load({ store = this.options?.store, ...options }: LoadOptions): Promise<boolean> {
    const source = requireStore(store);
    const names = this.#isOwn(source) ? await listNames(source) : undefined;
    const found = await restore(this.run, source, options);
    if (found && names) this.#known = new Set(names);
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

async function listNames(store: CheckpointStore): Promise<string[]> {
  return (await store.list()).filter((name) => name !== WRITE_TEST);
}

function refuseOccupied({ location }: CheckpointStore, names: readonly string[]): void {
  if (names.length === 0) return;
  throw new EspalierError('checkpoint/occupied', {
    problem: `${location} already holds checkpoints of another run: ${names.join(', ')}`,
    fix: 'Call session.load() to go on with that run, or choose another place; nothing was touched.',
  });
}

function movedOnError({ location }: CheckpointStore, names: readonly string[]): EspalierError {
  return new EspalierError('checkpoint/moved-on', {
    problem: `another run has written to ${location} since this one loaded or saved: ${names.join(', ')}`,
    fix: 'Call session.load() to go on from there, or choose another place; nothing was touched.',
  });
}

const nothing: Release = async () => undefined;

async function claimStore(store: CheckpointStore): Promise<Release> {
  return (await store.claim?.()) ?? nothing;
}

function requireStore(store: CheckpointStore | undefined): CheckpointStore {
  if (store) return store;
  throw new EspalierError('session/no-store', {
    problem: 'this session has no checkpoint store',
    fix: "Pass checkpoint: { store: fileStore('runs/a') } (from @espalier/core/node).",
  });
}
