import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from '../batch/batch.js';
import type { Clock } from '../clock.js';
import type { LossTerms } from '../objective/loss-terms.js';
import type { StructureChange } from '../structure/structure-change.js';
import type { Order } from './order.js';

/** What a `loss` tap gets: one evaluation of the objective. */
export interface LossContext {
  readonly batch: Batch;
  /** Targets after every `targets` tap, by output name of the user's model. */
  readonly targets: NamedTensors;
  /**
   * Outputs by name: those of the user's model and those that plugins added. Where the loss of an
   * output takes logits, these are logits, also if the model ends in a softmax or sigmoid.
   */
  readonly outputs: NamedTensors;
  /**
   * By output whose time steps do not all count the same: how much each counts, `[batch, time]`, from a mask
   * of the model and weights per step. For `loss.perExample(output, target, steps[name])`.
   */
  readonly steps: NamedTensors;
  /** Feature maps by layer name, those that plugins asked for with `ctx.requestFeatures`. */
  readonly features: NamedTensors;
  /** The loss so far, term by term. */
  readonly terms: LossTerms;
  readonly training: boolean;
  /** Whether a plugin or a caller asked for this evaluation; `false`: it is the step's own. */
  readonly nested: boolean;
  readonly clock: Clock;
  /** The example-weighted mean of per-example values `[batch]`: how every term should be reduced. */
  mean(perExample: Tensor1D): Scalar;
  /**
   * Reports a number of this step: a scalar, or values per example `[batch]` whose weighted mean it is. It
   * is in `StepLog.metrics` and, averaged, among the numbers of the epoch. It is no part of the loss and may
   * be NaN. Nested evaluations ignore it.
   */
  metric(name: string, value: Scalar | Tensor1D): void;
}

/** A batch and what the network made of it: what `loss` and `evaluate` have in common. */
export type ForwardResult = Pick<LossContext, 'batch' | 'outputs' | 'features'>;

/** The micro-batches of one optimizer step. */
export interface StepContext {
  readonly microBatches: readonly Batch[];
  readonly clock: Clock;
  /**
   * The first micro-batch of the next step, before any `batch` tap; only where a plugin called
   * `ctx.lookAhead()`, and not in the last step of an epoch of a fit or in a `session.step` without `next`.
   */
  readonly next?: Batch;
}

/** The numbers of a step, read from the device at once: loss terms (unweighted), their weighted total, metrics. */
export interface StepLog {
  readonly total: number;
  readonly terms: Readonly<Record<string, number>>;
  /** What `loss` taps gave to `metric`, by name. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** What is known when a step is over. */
export interface StepResult extends StepContext {
  readonly log: StepLog;
}

/** One batch of an evaluation. Values given to `metric` are averaged over all examples by weight. */
export interface EvaluateContext {
  readonly batch: Batch;
  readonly targets: NamedTensors;
  readonly outputs: NamedTensors;
  readonly features: NamedTensors;
  /** As in {@link LossContext}. */
  readonly steps: NamedTensors;
  metric(name: string, perExample: Tensor1D): void;
  /**
   * For metrics that are no means of examples, such as F1: reads tensors of this batch, `[rows, …]` by name.
   * When the evaluation is over, `compute` of the last batch gets those of all batches, one after the
   * other, and gives metrics by name. A plugin that gathers several things names each.
   */
  gather(name: string, tensors: NamedTensors, compute: ComputeMetrics): void;
}

/** Gives metrics by name for what `gather` read: the numbers of all batches, row by row, by name. */
export type ComputeMetrics = (
  gathered: Readonly<Record<string, Float32Array>>,
) => Readonly<Record<string, number>>;

/** Numbers of an epoch: `loss`, `loss/<term>`, `<metric>` of its steps, `val/<metric>`. */
export interface EpochResult {
  readonly clock: Clock;
  readonly metrics: Readonly<Record<string, number>>;
}

/** What an `epochEnd` tap gets: the numbers of the epoch, to which it may add. */
export interface EpochEnd extends EpochResult {
  /** Adds a number of the epoch; later taps, the history and telemetry have it. */
  metric(name: string, value: number): void;
}

/** How a fit ended; see `FitResult`. */
export interface FitEnd {
  readonly clock: Clock;
  readonly status: 'completed' | 'stopped' | 'aborted' | 'failed';
  /** Why a plugin stopped it, or the message of the error that it failed with. */
  readonly reason?: string;
}

/** Every hook and its argument; {@link HOOKS} shows when each fires. */
export interface HookArguments {
  epochStart: { readonly clock: Clock };
  batch: Batch;
  beforeStep: StepContext;
  targets: NamedTensors;
  loss: LossContext;
  gradients: NamedTensors;
  beforeApply: StepContext;
  afterApply: StepContext;
  afterStep: StepResult;
  evaluate: EvaluateContext;
  epochEnd: EpochEnd;
  transform: { readonly clock: Clock };
  structureChange: StructureChange;
  finish: FitEnd;
}

export type HookName = keyof HookArguments;

/** How a hook runs: `sync` taps may not return a Promise; `waterfall` taps return the next value. */
export type HookKind = 'sync' | 'sync-waterfall' | 'async' | 'async-waterfall';

/** One row of the table of hooks. */
export interface HookRow {
  readonly kind: HookKind;
  /** When it fires. */
  readonly phase: 'epoch' | 'step' | 'objective' | 'apply' | 'evaluate' | 'run';
  /** Whether it fires in nested evaluations of the objective too. */
  readonly nested: boolean;
  /** The kind of resource a plugin must declare to tap it; none: anyone may. */
  readonly needs?: string;
  readonly doc: string;
}

/**
 * The one table of hooks, in firing order; types, documentation and checks come from it. The whole loop,
 * with every hook in its place (loop/fit.ts, loop/step.ts, objective/objective.ts):
 *
 * ```text
 * for each epoch:
 *   epochStart
 *   for each step:                            `accumulate` micro-batches of the source
 *     for each micro-batch: batch
 *     beforeStep
 *     for each micro-batch:                   synchronous, inside the gradient
 *       run the network; targets
 *       add the task's terms; loss            total = sum of weight * term
 *       differentiate the total
 *     gradients                               of the step: the mean over its examples
 *     read the numbers; end here if one is not finite
 *     beforeApply
 *     optimizer, constraints; assign parameters and moving statistics
 *     afterApply
 *     afterStep
 *   for each batch of the validation: evaluate
 *   epochEnd
 * finish                                      however the fit ended
 *
 * session.transform(): for each plugin that has one: transform; then structureChange
 * ```
 *
 * A plugin that evaluates the objective (`ctx.objective`, `ctx.gradients`) fires `targets` and `loss` again.
 */
export const HOOKS = {
  epochStart: {
    kind: 'async',
    phase: 'epoch',
    nested: false,
    doc: 'An epoch begins.',
  },
  batch: {
    kind: 'async-waterfall',
    phase: 'step',
    nested: false,
    needs: 'batch',
    doc: 'Changes a micro-batch once, before all other hooks (augmentation). Return the batch; the trainer disposes what was replaced.',
  },
  beforeStep: {
    kind: 'async',
    phase: 'step',
    nested: false,
    doc: 'Gets all micro-batches before the step; nested evaluations and meta-updates go here.',
  },
  targets: {
    kind: 'sync-waterfall',
    phase: 'objective',
    nested: true,
    needs: 'targets',
    doc: 'Changes the targets inside an evaluation (label smoothing).',
  },
  loss: {
    kind: 'sync',
    phase: 'objective',
    nested: true,
    needs: 'loss',
    doc: 'Adds, scales or replaces terms of the loss.',
  },
  gradients: {
    kind: 'sync-waterfall',
    phase: 'apply',
    nested: false,
    needs: 'gradients',
    doc: 'Changes the gradients of the step, summed over its micro-batches, by parameter path.',
  },
  beforeApply: {
    kind: 'sync',
    phase: 'apply',
    nested: false,
    doc: 'The gradients are final and finite; parameters are still the old ones.',
  },
  afterApply: {
    kind: 'sync',
    phase: 'apply',
    nested: false,
    doc: 'Parameters, optimizer state and moving statistics are the new ones.',
  },
  afterStep: {
    kind: 'async',
    phase: 'step',
    nested: false,
    doc: 'The step is over; `log` has the loss terms as numbers.',
  },
  evaluate: {
    kind: 'sync',
    phase: 'evaluate',
    nested: false,
    doc: 'Adds metrics for one batch of an evaluation: per example, or gathered over all batches.',
  },
  epochEnd: {
    kind: 'async',
    phase: 'epoch',
    nested: false,
    doc: "An epoch is over, with its numbers and the validation's; a tap may add to them.",
  },
  transform: {
    kind: 'async',
    phase: 'run',
    nested: false,
    needs: 'structure',
    doc: 'Changes the structure of the trained model (compression); fit again to retrain.',
  },
  structureChange: {
    kind: 'sync',
    phase: 'run',
    nested: false,
    doc: 'The structure changed: by a transform, by loading a transformed run, or because `trainable` did. What a plugin keeps by parameter path follows (`followPaths`).',
  },
  finish: {
    kind: 'async',
    phase: 'run',
    nested: false,
    doc: 'A fit is over: completed, stopped by a plugin, aborted or failed.',
  },
} as const satisfies Readonly<Record<HookName, HookRow>>;

type Kind<H extends HookName> = (typeof HOOKS)[H]['kind'];

/** What a tap of hook `H` must return. */
export type TapReturn<H extends HookName> =
  Kind<H> extends 'sync'
    ? void
    : Kind<H> extends 'sync-waterfall'
      ? HookArguments[H]
      : Kind<H> extends 'async'
        ? void | Promise<void>
        : HookArguments[H] | Promise<HookArguments[H]>;

/** A tap: one plugin's function on one hook. */
export type Tap<H extends HookName> = (argument: HookArguments[H]) => TapReturn<H>;

/** What a plugin holds for a hook. */
export interface TapPoint<H extends HookName> {
  /** Adds a tap; `order` refines the plugin's own order for this tap alone. */
  tap(fn: Tap<H>, order?: Order): void;
}
