import type { Clock } from '@espalier/core';

/** Which optimizer steps an outer step comes before. */
export interface OuterInterval {
  /** Optimizer steps before the first outer step. */
  readonly warmup: number;
  /** Optimizer steps from one outer step to the next. */
  readonly interval: number;
}

/** Says before which optimizer steps an outer step is due, and counts the steps that had no batch for one. */
export class OuterSchedule {
  /** The optimizer step before which outer steps began. */
  begun: number | undefined;
  #missed = false;
  #warned = false;

  constructor(private readonly every: OuterInterval) {}

  /**
   * Whether outer steps begin before the optimizer step `step`, counted from 0: once, when the warm-up is over.
   *
   * @param ready Whether what they train is ready for them.
   */
  begins(step: number, ready: boolean): boolean {
    if (this.begun !== undefined || !ready || step < this.every.warmup) return false;
    this.begun = step;
    return true;
  }

  /** Whether `miss` has returned `true`. */
  get hasWarned(): boolean {
    return this.#warned;
  }

  /** Whether an outer step is due before the optimizer step `step`. */
  isDue(step: number): boolean {
    const passed = step - (this.begun ?? Infinity);
    return passed >= 0 && passed % this.every.interval === 0;
  }

  /**
   * The same where the outer loss takes the next training batch. The last step of an epoch has none, so
   * an outer step that was due there comes in the first step of the next epoch.
   */
  isDueWithNext({ step, batchesInEpoch }: Pick<Clock, 'step' | 'batchesInEpoch'>): boolean {
    return this.isDue(step) || (batchesInEpoch === 0 && this.isDue(step - 1));
  }

  /**
   * Notes that a due outer step had no next batch. Returns `true` once: when no outer step was done yet
   * and it is not the first time, or the epoch has just begun, so that waiting for the next step is in vain.
   *
   * @param done Outer steps so far, skipped ones included.
   */
  miss({ batchesInEpoch }: Pick<Clock, 'batchesInEpoch'>, done: number): boolean {
    const again = this.#missed || batchesInEpoch === 0;
    this.#missed = true;
    if (!again || done > 0 || this.#warned) return false;
    this.#warned = true;
    return true;
  }
}
