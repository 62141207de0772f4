import type { Batch } from '../batch/batch.js';
import type { StepLog } from '../hooks/hooks.js';

interface WeightedSum {
  readonly sum: number;
  readonly weight: number;
}

/** The sums of an epoch under way as plain data. */
export interface EpochSumsData {
  /** By number: its sum over the steps that have it, and their weight. */
  readonly sums: Readonly<Record<string, WeightedSum>>;
  /** Whether `epochStart` has fired. */
  readonly begun: boolean;
}

/** Sums up the numbers of the steps of an epoch, weighted by examples. */
export class EpochSums {
  #sums: Record<string, WeightedSum> = {};
  /** Whether `epochStart` has fired. */
  begun = false;

  add({ total, terms, metrics }: StepLog, microBatches: readonly Batch[]): void {
    const weight = microBatches.reduce((sum, batch) => sum + batch.weightSum, 0);
    this.#add('loss', total, weight);
    for (const [name, value] of Object.entries(terms)) this.#add(`loss/${name}`, value, weight);
    for (const [name, value] of Object.entries(metrics)) this.#add(name, value, weight);
  }

  #add(name: string, value: number, weight: number): void {
    const before = this.#sums[name] ?? { sum: 0, weight: 0 };
    this.#sums[name] = { sum: before.sum + weight * value, weight: before.weight + weight };
  }

  /**
   * The weighted means so far: `loss`, `loss/<term>`, `<metric>`. A term is 0 in steps without it, so that
   * terms add up to the loss; a metric counts in steps that have it.
   */
  means(): Record<string, number> {
    const steps = this.#sums['loss']?.weight;
    const mean = (name: string, { sum, weight }: WeightedSum) =>
      sum / ((name.startsWith('loss/') ? steps : weight) || 1);
    return Object.fromEntries(
      Object.entries(this.#sums).map(([name, each]) => [name, mean(name, each)]),
    );
  }

  reset(): void {
    this.restore({ sums: {}, begun: false });
  }

  get data(): EpochSumsData {
    return { sums: { ...this.#sums }, begun: this.begun };
  }

  restore({ sums, begun }: EpochSumsData): void {
    this.#sums = { ...sums };
    this.begun = begun;
  }
}
