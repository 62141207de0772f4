import { EspalierError } from '@espalier/base';
import type * as tf from '@tensorflow/tfjs-core';
import { Callback } from '@tensorflow/tfjs-layers';
import { nextTask } from './next-task.js';

/** How far a `fit` or `fitDataset` is. */
export interface FitProgress {
  /** After a batch, at most one each tenth of a second; after each epoch, always. */
  readonly kind: 'batch' | 'epoch';
  /** From 0. */
  readonly epoch: number;
  /** Where the fit ends, if nothing stops it. */
  readonly epochs: number;
  /** Of this epoch, from 0; missing after an epoch. */
  readonly batch?: number;
  /** The part of this fit that is done, 0 to 1; missing where the dataset's length is unknown. */
  readonly fraction?: number;
  /** `loss`, `acc`, `val_loss` …, as a callback of TensorFlow.js gets them, as numbers. */
  readonly logs: Readonly<Record<string, number>>;
}

/** The least time between two reports of batches, in milliseconds. */
const INTERVAL = 100;

type Logs = Readonly<Record<string, number | tf.Scalar>> | undefined;

/**
 * Reports epochs and batches, lets the page's messages in after each batch, and stops the fit when the
 * page has cancelled.
 */
export class FitReporter extends Callback {
  #firstEpoch: number | undefined;
  #epoch = 0;
  #rows = 0;
  #last = -Infinity;

  constructor(
    readonly report: (progress: FitProgress) => void,
    readonly signal: AbortSignal,
  ) {
    super();
  }

  override async onTrainBegin(): Promise<void> {
    // A list that starts with a plain object makes TensorFlow.js take this object's methods alone.
    if (!(this instanceof FitReporter)) throw orderError();
    this.#firstEpoch = undefined;
  }

  override async onEpochBegin(epoch: number): Promise<void> {
    this.#firstEpoch ??= epoch;
    this.#epoch = epoch;
    this.#rows = 0;
  }

  override async onBatchEnd(batch: number, logs?: Logs): Promise<void> {
    this.#rows += Number(logs?.['size'] ?? 0);
    if (performance.now() - this.#last >= INTERVAL) {
      await this.#reportBatch(batch, logs);
      this.#last = performance.now();
    }
    await nextTask();
    if (this.signal.aborted) this.model.stopTraining = true;
  }

  override async onEpochEnd(epoch: number, logs?: Logs): Promise<void> {
    const [fraction, values] = [this.#fraction(1), await readLogs(logs)];
    this.report({ kind: 'epoch', epoch, epochs: this.#epochs, fraction, logs: values });
    await nextTask();
    if (this.signal.aborted) this.model.stopTraining = true;
  }

  async #reportBatch(batch: number, logs: Logs): Promise<void> {
    const { samples, steps } = this.params as Readonly<Record<string, number | undefined>>;
    const part = samples ? this.#rows / samples : steps ? (batch + 1) / steps : undefined;
    const values = await readLogs(logs);
    const [epoch, epochs] = [this.#epoch, this.#epochs];
    const fraction = part === undefined ? undefined : this.#fraction(part);
    this.report({ kind: 'batch', epoch, epochs, batch, fraction, logs: values });
  }

  get #epochs(): number {
    return this.params['epochs'] as number;
  }

  /** The part of the fit that is done when `part` of the epoch is. */
  #fraction(part: number): number {
    const first = this.#firstEpoch ?? 0;
    return (this.#epoch - first + part) / (this.#epochs - first);
  }
}

/** Numbers of the logs, without those that count. */
async function readLogs(logs: Logs = {}): Promise<Record<string, number>> {
  const read = async (value: number | tf.Scalar) =>
    typeof value === 'number' ? value : (await value.data())[0]!;
  const entries = Object.entries(logs)
    .filter(([name]) => name !== 'batch' && name !== 'size')
    .map(async ([name, value]) => [name, await read(value)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

const orderError = () =>
  new EspalierError('attach/worker-callbacks', {
    problem: 'report.callbacks stands behind a plain object in the list of callbacks',
    fix: 'Put it first: callbacks: [report.callbacks, new CustomCallback({ onEpochEnd }, "never")].',
  });
