/** Where training stands. It counts micro-steps (forward and backward passes) and optimizer steps. */
export interface Clock {
  /** Epoch, from 0. */
  readonly epoch: number;
  /** Optimizer steps done since the first epoch. */
  readonly step: number;
  /** Micro-steps done since the first epoch. */
  readonly microSteps: number;
  /** Micro-batches of this epoch that are done. */
  readonly batchesInEpoch: number;
}

/** The clock of a run. Only its methods move it; plugins get it as a read-only {@link Clock}. */
export class RunClock implements Clock {
  epoch = 0;
  step = 0;
  microSteps = 0;
  batchesInEpoch = 0;

  /** One optimizer step over so many micro-batches is done; `inEpoch`: they count in the epoch. */
  advance(microBatches: number, { inEpoch }: { readonly inEpoch: boolean }): void {
    this.microSteps += microBatches;
    this.step += 1;
    if (inEpoch) this.batchesInEpoch += microBatches;
  }

  /** The step that was counted last goes on with another micro-batch. */
  reopenStep(): void {
    this.step -= 1;
  }

  nextEpoch(): void {
    this.epoch += 1;
    this.batchesInEpoch = 0;
  }

  /** Continues where a checkpoint was written. */
  restore({ epoch, step, microSteps, batchesInEpoch }: Clock): void {
    Object.assign(this, { epoch, step, microSteps, batchesInEpoch });
  }
}
