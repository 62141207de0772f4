import type { Scalar, Tensor1D } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from '../batch/batch.js';
import type { Clock } from '../clock.js';
import type { LossTerms } from '../objective/loss-terms.js';
import type { StructureChange } from '../structure/structure-change.js';
import type { Order } from './order.js';

/** What an evaluation of the objective shows to the plugins that add to it. */
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
   * By output whose steps do not all count alike, how each counts, `[batch, time]`: what a mask of the model
   * and weights per step say. For `loss.perExample(output, target, steps[name])`.
   */
  readonly steps: NamedTensors;
  /** Feature maps by layer name, as requested with `ctx.features`. */
  readonly features: NamedTensors;
  /** The loss so far, term by term. */
  readonly terms: LossTerms;
  readonly training: boolean;
  /** Whether a plugin or a caller asked for this evaluation; `false`: it is the step's own. */
  readonly nested: boolean;
  readonly clock: Clock;
  /** The example-weighted mean of per-example values `[batch]`: how every term should be reduced. */
  mean(perExample: Tensor1D): Scalar;
}

/** A batch and what the network made of it: what `loss` and `evaluate` have in common. */
export type ForwardResult = Pick<LossContext, 'batch' | 'outputs' | 'features'>;

/** The micro-batches of one optimizer step. */
export interface StepContext {
  readonly microBatches: readonly Batch[];
  readonly clock: Clock;
  /**
   * The first micro-batch of the next step, before any `batch` tap; only where a plugin called
   * `ctx.lookAhead()`, and not in the last step of an epoch or in `session.step`.
   */
  readonly next?: Batch;
}

/** Loss terms and their total as numbers, read once per log interval. */
export interface StepLog {
  readonly total: number;
  readonly terms: Readonly<Record<string, number>>;
}

/** What is known when a step is over. `log` is there at log intervals only. */
export interface StepResult extends StepContext {
  readonly log?: StepLog;
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
}

/** Numbers of an epoch: `loss`, `loss/<term>`, `<metric>`, `val/<metric>`. */
export interface EpochResult {
  readonly clock: Clock;
  readonly metrics: Readonly<Record<string, number>>;
}

/** How a fit ended; see `FitResult`. */
export interface FitEnd {
  readonly clock: Clock;
  readonly status: 'completed' | 'stopped' | 'aborted' | 'failed';
  /** What the plugin said that stopped it, or the message of the error that it failed by. */
  readonly reason?: string;
}

/**
 * Every hook and its argument. A step fires, in this order:
 * `batch` (each micro-batch) → `beforeStep` → [`targets` → `loss`] (each micro-batch) → `gradients`
 * → `beforeApply` → `afterApply` → `afterStep`; around it `epochStart`, `evaluate`, `epochEnd`;
 * between fits `transform` → `structureChange`.
 */
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
  epochEnd: EpochResult;
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

/** The one table of hooks, in firing order; types, documentation and checks come from it. */
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
    doc: 'Changes a micro-batch once, before anything sees it (augmentation). Return the batch; the trainer disposes what was replaced.',
  },
  beforeStep: {
    kind: 'async',
    phase: 'step',
    nested: false,
    doc: 'Sees the whole window before the step; nested evaluations and meta-updates go here.',
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
    doc: "Changes the window's accumulated gradients, by parameter path.",
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
    doc: 'Parameters, optimizer slots and statistics are the new ones.',
  },
  afterStep: {
    kind: 'async',
    phase: 'step',
    nested: false,
    doc: 'The step is over; loss terms are there at log intervals.',
  },
  evaluate: {
    kind: 'sync',
    phase: 'evaluate',
    nested: false,
    doc: 'Adds per-example metrics for one batch of an evaluation.',
  },
  epochEnd: {
    kind: 'async',
    phase: 'epoch',
    nested: false,
    doc: "An epoch is over, with its numbers and the validation's.",
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
