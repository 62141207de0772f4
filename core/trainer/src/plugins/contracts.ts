import type { Macs } from '@espalier/model';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { ForwardResult, LossContext } from '../hooks/hooks.js';
import { createToken } from './tokens.js';

/** The exits of a network, from the shallowest to the network's own head. */
export interface Exits {
  /** Output names, shallowest first; the last is the user's own output. */
  readonly names: readonly string[];
  /** The layer whose feature map feeds each exit; of the last: the layer before the head. */
  readonly layers: readonly string[];
  /** The loss term by which labels train an exit, by its name; the task's own term for exits left out. */
  readonly terms?: Readonly<Record<string, string>>;
  /** Multiply-accumulate operations up to and including each exit, per example; some may be unknown. */
  readonly macs: readonly Macs[];
}

/** Who provides it: a plugin that gives a model several exits. */
export const EXITS = createToken<Exits>('exits');

/**
 * Soft targets for exits: what a distillation loss compares an exit's distribution with. One loss
 * serves them all; who makes the targets is swapped by binding another provider.
 */
export interface SoftTargets {
  /** A short name for reports: `deepest-exit`, `teacher`. */
  readonly name: string;
  /** That its targets say nothing by design: every class is as likely. No run is warned of that. */
  readonly uniform?: boolean;
  /** Whether it can be asked now; absent: always. False e.g. for a teacher that is not loaded yet. */
  readonly ready?: boolean;
  /**
   * Logits `[batch, classes]` of the soft target for each exit that has one, by output name; the
   * consumer applies the temperature. Whether they are detached is the provider's business. It may be
   * asked in `loss` and in `evaluate`, so that a plugin can tell how good the targets are.
   */
  logits(context: ForwardResult): Readonly<Record<string, Tensor2D>>;
}

/** Who provides it: self-distillation, external teachers, learned label generators. */
export const SOFT_TARGETS = createToken<SoftTargets>('soft-targets');

/** Feature maps to be drawn together by a hint loss, by exit. */
export interface FeatureMaps {
  /** One feature tensor `[batch, features]` per exit, by output name. */
  features(context: LossContext): Readonly<Record<string, Tensor>>;
}

/** Who provides it: a plugin whose exits have comparable features. */
export const FEATURE_MAPS = createToken<FeatureMaps>('feature-maps');

/** Whether what an outer loss trains is ready for it. */
export interface OuterStart {
  /** False: whoever trains by an outer loss waits. It may change from step to step. */
  readonly ready: boolean;
}

/** Who provides it: a plugin whose network other terms of the loss train first, its warm-up. */
export const OUTER_START = createToken<OuterStart>('outer-start');
