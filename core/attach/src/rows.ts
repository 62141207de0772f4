import { keyedRng } from '@espalier/core';
import type { RawBatch } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** The rows of arrays in batches, in an order of their own for each epoch. */
export class RowBatches {
  #order: Int32Array;

  constructor(
    private readonly arrays: readonly Tensor[],
    private readonly batchSize: number,
  ) {
    this.#order = Int32Array.from({ length: this.rows }, (_, i) => i);
  }

  get rows(): number {
    return this.arrays[0]!.shape[0]!;
  }

  get count(): number {
    return Math.ceil(this.rows / this.batchSize);
  }

  /** Draws the order of an epoch from a stream that is keyed by seed and epoch. */
  shuffle(seed: number, epoch: number): void {
    this.#order = keyedRng(seed, 'data', epoch).permutation(this.rows);
  }

  /** What `make` makes of one batch of each array; nothing behind the last. The caller owns its tensors. */
  take(batch: number, make: (data: readonly Tensor[]) => RawBatch): RawBatch | undefined {
    if (batch >= this.count) return undefined;
    const rows = this.#order.subarray(batch * this.batchSize, (batch + 1) * this.batchSize);
    return tf.tidy(() => {
      const ids = tf.tensor1d(rows, 'int32');
      return make(this.arrays.map((array) => tf.gather(array, ids))) as never;
    });
  }
}
