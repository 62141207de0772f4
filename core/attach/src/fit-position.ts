import type { SavedState } from '@espalier/core';
import type { History } from '@tensorflow/tfjs-layers';

/** Numbers of one epoch, by the names that tfjs gives them. */
export type EpochLogs = Readonly<Record<string, number>>;

/** What a `History` holds. */
interface FitHistory {
  readonly epoch: readonly number[];
  readonly history: Readonly<Record<string, readonly number[]>>;
}

interface PositionData {
  /** One for each call of fit or fitDataset that is over. */
  readonly fits: readonly FitHistory[];
  /** Of the call under way: its epochs so far. */
  readonly epochs: readonly { readonly epoch: number; readonly logs: EpochLogs }[];
  /** Of the epoch under way: what each batch gave, in the order of the labels. */
  readonly batches: readonly (readonly number[])[];
}

const START: PositionData = { fits: [], epochs: [], batches: [] };

/**
 * Where a program stands in its calls of `fit` and `fitDataset`. It goes into checkpoints: a program that
 * is started again and loads one passes over what is done.
 */
export class FitPosition {
  #data: PositionData = START;
  /** Calls of this process so far. */
  #calls = 0;
  /** What a checkpoint holds of the call and the epoch that this process goes on with. */
  #loaded: PositionData = START;
  #fitting = false;

  /** The next call: its history where a checkpoint has it behind it, else none. */
  beginFit(): FitHistory | undefined {
    const passed = this.#loaded.fits[this.#calls++];
    this.#fitting = passed === undefined;
    return passed;
  }

  /** Epochs of this call that a checkpoint has behind it. */
  get epochsDone(): number {
    return this.#data.epochs.length;
  }

  /** What a batch gave that a checkpoint has behind it. */
  findBatch(batch: number): readonly number[] | undefined {
    return this.#loaded.batches[batch];
  }

  /** A step that belongs to no fit, such as that of `trainOnBatch`, counts for none. */
  addBatch(numbers: readonly number[]): void {
    if (!this.#fitting) return;
    this.#data = { ...this.#data, batches: [...this.#data.batches, numbers] };
  }

  endEpoch(epoch: number, logs: EpochLogs): void {
    this.#data = { ...this.#data, epochs: [...this.#data.epochs, { epoch, logs }], batches: [] };
    this.#loaded = { ...this.#loaded, batches: [] };
  }

  endFit(): void {
    const { fits, epochs } = this.#data;
    this.#data = { ...START, fits: [...fits, collectHistory(epochs)] };
    this.#leaveFit();
  }

  /** An error ended the call: it counts for nothing, and the next one begins anew. */
  abandonFit(): void {
    this.#data = { ...START, fits: this.#data.fits };
    this.#calls -= 1;
    this.#leaveFit();
  }

  #leaveFit(): void {
    this.#loaded = { ...START, fits: this.#loaded.fits };
    this.#fitting = false;
  }

  /** Puts the epochs of this call that an earlier process ran into a history. */
  completeHistory(target: History): void {
    writeHistory(target, collectHistory(this.#data.epochs));
  }

  save(): SavedState {
    return { json: this.#data };
  }

  load({ json }: SavedState): void {
    this.#data = json as PositionData;
    this.#loaded = this.#data;
    this.#calls = 0;
  }
}

/** Fills a history of tfjs. */
export function writeHistory(target: History, { epoch, history }: FitHistory): void {
  target.epoch = [...epoch];
  target.history = Object.fromEntries(
    Object.entries(history).map(([name, values]) => [name, [...values]]),
  );
}

function collectHistory(epochs: PositionData['epochs']): FitHistory {
  const names = [...new Set(epochs.flatMap(({ logs }) => Object.keys(logs)))];
  return {
    epoch: epochs.map(({ epoch }) => epoch),
    history: Object.fromEntries(
      names.map((name) => [name, epochs.map(({ logs }) => logs[name] ?? NaN)]),
    ),
  };
}
