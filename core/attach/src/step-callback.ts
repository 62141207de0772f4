import { disposeRaw } from '@espalier/core';
import type { RawBatch, Session, StepLog } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { BatchFunction, CompiledModel } from './compiled-model.js';
import type { EpochLogs, FitPosition } from './fit-position.js';
import type { Validate } from './validation.js';

type Logs = Readonly<Record<string, number | Tensor>>;

/** Where the batches of a fit come from. The receiver disposes them. */
export interface FitBatches {
  beginEpoch(epoch: number): void;
  take(batch: number): Promise<RawBatch>;
  /** The batch behind the last one that was taken, where there is one. */
  peek?(): RawBatch | undefined;
  dispose(): void;
}

/** What a fit trains. */
export interface FitTarget {
  readonly session: Session;
  readonly model: CompiledModel;
  readonly position: FitPosition;
  /** A step of the session, as the fit makes it. */
  readonly step: Session['step'];
  /** The numbers of a step in the order of the labels of tfjs. */
  listNumbers(log: StepLog): readonly number[];
}

/**
 * The last callback of a fit. tfjs's loop awaits it before each batch: it makes the step, whose numbers the
 * train function of that batch then returns.
 */
export class StepCallback extends tfl.Callback {
  #numbers: readonly number[] = [];

  constructor(
    private readonly target: FitTarget,
    private readonly batches: FitBatches,
    private readonly validate: Validate | undefined,
  ) {
    super();
  }

  /** For the loop of tfjs, in place of its own. */
  readonly train: BatchFunction = () => this.#numbers.map((value): Scalar => tf.scalar(value));

  override async onEpochBegin(): Promise<void> {
    const { session } = this.target;
    await session.beginEpoch({ goOn: true });
    this.batches.beginEpoch(session.clock.epoch);
  }

  override async onBatchBegin(batch: number): Promise<void> {
    const raw = await this.batches.take(batch);
    try {
      this.#numbers = this.target.position.findBatch(batch) ?? (await this.#step(raw));
    } finally {
      disposeRaw(raw);
    }
  }

  override async onEpochEnd(epoch: number, logs: Logs = {}): Promise<void> {
    const { session, position } = this.target;
    Object.assign(logs, await this.#validate(logs));
    const numbers = await readNumbers(logs);
    position.endEpoch(epoch, numbers);
    await session.endEpoch(listValidation(numbers));
    this.#followStop();
  }

  /** What plugins add to the validation, by names of tfjs. */
  async #validate(logs: Logs): Promise<EpochLogs> {
    const added = Object.entries((await this.validate?.()) ?? {});
    return Object.fromEntries(
      added
        .map(([name, value]) => [VALIDATION + name, value] as const)
        .filter(([name]) => !(name in logs)),
    );
  }

  async #step(raw: RawBatch): Promise<readonly number[]> {
    const { session, step, listNumbers } = this.target;
    const next = session.looksAhead ? this.batches.peek?.() : undefined;
    this.target.position.expectBatch();
    const log = await step(raw, { inEpoch: true, ...(next && { next }) });
    this.#followStop();
    return listNumbers(log);
  }

  /** A plugin that stops the run stops the fit. */
  #followStop(): void {
    if (this.target.session.stopReason !== undefined) this.target.model.stopTraining_ = true;
  }
}

async function readNumbers(logs: Logs): Promise<EpochLogs> {
  const entries = Object.entries(logs).map(
    async ([name, value]) =>
      [name, typeof value === 'number' ? value : (await value.data())[0]!] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** How tfjs begins the names of numbers of the validation. */
const VALIDATION = 'val_';

/** `val_loss` of tfjs is `val/loss` here. */
function listValidation(logs: EpochLogs): Record<string, number> {
  return Object.fromEntries(
    Object.entries(logs)
      .filter(([name]) => name.startsWith(VALIDATION))
      .map(([name, value]) => [`val/${name.slice(VALIDATION.length)}`, value]),
  );
}
