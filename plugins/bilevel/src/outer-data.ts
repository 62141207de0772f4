import { EspalierError, keyedRng } from '@espalier/core';
import type { RawBatch, Source } from '@espalier/core';

/** Where an {@link OuterData} stands. */
export interface Position {
  readonly epoch: number;
  readonly batch: number;
}

/** Where it begins. */
export const START: Position = { epoch: 0, batch: 0 };

/** Batches of a source without end, epoch after epoch. */
export class OuterData {
  #position = START;
  #batches: AsyncIterator<RawBatch> | undefined;
  readonly #left: AsyncIterator<RawBatch>[] = [];

  constructor(
    private readonly source: Source,
    private readonly seed: number,
  ) {}

  get position(): Position {
    return this.#position;
  }

  /** The next batch; the receiver disposes it. */
  async next(): Promise<RawBatch> {
    await this.#closeLeft();
    for (let empty = 0; empty < 2; empty += 1) {
      const { epoch, batch } = this.#position;
      this.#batches ??= this.#open();
      const { value, done } = await this.#batches.next();
      if (!done) {
        this.#position = { epoch, batch: batch + 1 };
        return value as RawBatch;
      }
      this.moveTo({ epoch: epoch + 1, batch: 0 });
    }
    throw new EspalierError('bilevel/outer-data', {
      problem: 'the source of the outer loss gave no batch in a whole epoch',
      fix: "Give 'outer-data' a source with at least one batch, or leave it out: the next training batch serves then.",
    });
  }

  /** Goes on from another position. */
  moveTo(position: Position): void {
    if (this.#batches) this.#left.push(this.#batches);
    this.#batches = undefined;
    this.#position = position;
  }

  async close(): Promise<void> {
    this.moveTo(this.#position);
    await this.#closeLeft();
  }

  async #closeLeft(): Promise<void> {
    for (let left = this.#left.pop(); left; left = this.#left.pop()) await left.return?.();
  }

  #open(): AsyncIterator<RawBatch> {
    const { epoch, batch } = this.#position;
    const stream = keyedRng(this.seed, 'outer-data', epoch);
    return this.source.iterate({ epoch, skip: batch, stream })[Symbol.asyncIterator]();
  }
}
