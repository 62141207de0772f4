import type { Batch } from '../batch/batch.js';
import type { StepLog } from '../hooks/hooks.js';

/** The sums of an epoch under way as plain data. */
export interface EpochSumsData {
  readonly weight: number;
  readonly sums: Readonly<Record<string, number>>;
  /** Whether `epochStart` has fired. */
  readonly begun: boolean;
}

/** Sums up the numbers of the steps of an epoch, weighted by examples. */
export class EpochSums {
  #weight = 0;
  #sums: Record<string, number> = {};
  /** Whether `epochStart` has fired. */
  begun = false;

  add({ total, terms }: StepLog, microBatches: readonly Batch[]): void {
    const weight = microBatches.reduce((sum, batch) => sum + batch.weightSum, 0);
    this.#weight += weight;
    const named = Object.entries(terms).map(([name, value]) => [`loss/${name}`, value] as const);
    for (const [name, value] of [['loss', total] as const, ...named]) {
      this.#sums[name] = (this.#sums[name] ?? 0) + weight * value;
    }
  }

  /** The weighted means so far, `loss` and `loss/<term>`. */
  means(): Record<string, number> {
    return Object.fromEntries(
      Object.entries(this.#sums).map(([name, sum]) => [name, sum / (this.#weight || 1)]),
    );
  }

  reset(): void {
    this.restore({ weight: 0, sums: {}, begun: false });
  }

  get data(): EpochSumsData {
    return { weight: this.#weight, sums: { ...this.#sums }, begun: this.begun };
  }

  restore({ weight, sums, begun }: EpochSumsData): void {
    this.#weight = weight;
    this.#sums = { ...sums };
    this.begun = begun;
  }
}
