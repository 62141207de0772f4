import { readLater, readNow } from '@espalier/base';
import type { RawBatch } from '@espalier/data';
import type { Clock } from '../clock.js';
import type { RunSettings } from '../settings.js';
import type { Structure } from '../structure/structure.js';
import type { Batch } from './batch.js';
import { readBatch } from './to-batch.js';
import type { BatchSpec } from './to-batch.js';

/** Checks and names raw batches for the model of a run. */
export class BatchReader {
  #ahead:
    { readonly raw: RawBatch; readonly key: number; readonly batch: Promise<Batch> } | undefined;

  constructor(
    private readonly settings: RunSettings,
    private readonly structure: Structure,
    private readonly clock: Clock,
  ) {}

  /** What batches are checked against; it follows the structure. */
  get spec(): BatchSpec {
    const { inputNames, idInputs, outputShapes } = this.structure.network;
    const { losses, semantics } = this.settings;
    const { ownNames } = this.structure;
    return {
      inputNames,
      ownNames,
      idInputs,
      losses,
      outputShapes,
      countsExamples: semantics === 'tfjs',
    };
  }

  /** One batch of a step; `position`: how many batches come before it from this step on. */
  read(raw: RawBatch, position: number): Promise<Batch> {
    const key = this.clock.microSteps + position;
    if (this.#ahead?.raw === raw && this.#ahead.key === key) return this.#ahead.batch;
    return readLater(readBatch(raw, key, this.spec));
  }

  /** The same for the first batch of the next step, which {@link read} then does not check again. */
  readAhead(raw: RawBatch, position: number): Promise<Batch> {
    const batch = this.read(raw, position);
    this.#ahead = { raw, key: this.clock.microSteps + position, batch };
    return batch;
  }

  /** The batch of an evaluation that cannot wait: it is read at once. */
  readNow(raw: RawBatch): Batch {
    return readNow(readBatch(raw, this.clock.microSteps, this.spec));
  }
}
