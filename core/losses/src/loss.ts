import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';

/** What a model's output is to a loss. */
export type OutputKind = 'logits' | 'probabilities';

/**
 * What targets must be: `distributions` over the last axis (or class ids), `probabilities` from 0 to 1,
 * or `numbers` that are finite.
 */
export type TargetKind = 'distributions' | 'probabilities' | 'numbers';

/** A loss per example, and what it demands of its targets. */
export interface Loss {
  /** Its name in the loss terms, such as `cross-entropy`. */
  readonly name: string;
  /**
   * Loss of each example `[batch]`; further axes (time steps) are averaged, by `steps` where it is given:
   * how each step counts, `[batch, time]`, from a mask of the model or weights per step.
   */
  perExample(output: Tensor, target: Tensor, steps?: Tensor): Tensor1D;
  /** Metrics per example `[batch]`, for evaluation; they count steps as the loss does. */
  metrics(output: Tensor, target: Tensor, steps?: Tensor): Readonly<Record<string, Tensor1D>>;
  /**
   * That it heeds `steps`, e.g. with {@link meanPerExample}. One that does not say so is refused where some
   * steps count for less.
   */
  readonly weighsSteps?: boolean;
  /** Whether integer targets are class ids, to be checked against the output's last axis. */
  readonly classIds: boolean;
  /** What its targets are checked for; absent: class ids only. */
  readonly targets?: TargetKind;
  /**
   * What it takes; absent: what the model gives, whatever that is. For one that wants `logits`, a
   * model that ends in a softmax or sigmoid runs without it, in training and evaluation; predictions
   * and exports keep it.
   */
  readonly from?: OutputKind;
  /** What makes probabilities of the logits that it takes; a head that ends in the other is refused. */
  readonly activation?: 'softmax' | 'sigmoid';
  /** For a loss that can take either: the same loss for outputs of a kind. A run asks once, at setup. */
  readAs?(kind: OutputKind): Loss;
}
