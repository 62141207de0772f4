import type { NamedTensors } from '@espalier/base';
import type { Tensor } from '@tensorflow/tfjs-core';

export type { NamedTensors };

/**
 * One micro-batch. Its tensors belong to the trainer, which disposes them when the step is over.
 */
export interface Batch {
  /** By input name of the model: `[batch, …]`. */
  readonly inputs: NamedTensors;
  /** By output name of the user's model: class ids `[batch]`, distributions or values `[batch, …]`. */
  readonly targets: NamedTensors;
  /**
   * Weight of each example `[batch]`, or of each of its time steps `[batch, time]`; one of 0 counts for
   * nothing, whatever it holds (batch normalization sees it). Absent: all 1. In `loss` and `evaluate` taps
   * it is that of the example, its steps' weights summed.
   */
  readonly weights?: Tensor;
  /** Names the random draws of this batch: its micro-step in a run, or what its maker chose. */
  readonly key: string | number;
  /** Number of examples. */
  readonly size: number;
  /**
   * Sum of the weights, on the host: what sums of losses are divided by, and what scales this micro-batch
   * within its window. By the semantics of tfjs the number of examples (or of steps that have weights).
   */
  readonly weightSum: number;
  /**
   * In a window of several micro-batches, by output that a mask reaches: what its loss is divided by in
   * place of the weight of this micro-batch's real steps, which may be a larger part of its `weightSum`
   * than they are in the others.
   */
  readonly divisors?: Readonly<Record<string, number>>;
}
