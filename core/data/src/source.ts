import type { NamedTensors, KeyedRng } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** A batch as sources give it: one tensor, or several by the model's input or output names. */
export interface RawBatch {
  /** Inputs `[batch, …]`. */
  readonly x: Tensor | NamedTensors;
  /** Targets `[batch, …]`: class ids, distributions or values. */
  readonly y?: Tensor | NamedTensors;
  /**
   * Weight of each example `[batch]`, or of each of its time steps `[batch, time]`; one of 0 counts for
   * nothing, NaN or not.
   */
  readonly weights?: Tensor;
}

/** What a source is asked for. */
export interface IterateOptions {
  /** From 0. */
  readonly epoch: number;
  /** Batches of this epoch to pass over: a resumed run has seen them. */
  readonly skip: number;
  /** Randomness of this epoch's order; the same in every run. */
  readonly stream: KeyedRng;
}

/** Where batches come from. Equal `epoch` and `stream` must give equal batches in equal order. */
export interface Source {
  /** Identifies the data; a checkpoint made on other data is refused. */
  fingerprint(): Promise<string>;
  /** Batches in an epoch, where the number is known: progress bars and schedules use it. */
  readonly batchesPerEpoch?: number;
  /**
   * What the batches depend on beside the data, plain data by name: a checkpoint holds it, and a run with another
   * batch size is told.
   */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** The batches of one epoch. The receiver disposes their tensors. */
  iterate(options: IterateOptions): AsyncIterable<RawBatch>;
}

/**
 * Disposes all tensors of a raw batch.
 *
 * @example
 * for await (const batch of source.iterate({ epoch: 0, skip: 0, stream })) disposeRaw(batch);
 */
export function disposeRaw({ x, y, weights }: RawBatch): void {
  tf.dispose([x, y, weights] as unknown as Tensor[]);
}
