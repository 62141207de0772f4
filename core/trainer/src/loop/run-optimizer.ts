import { EspalierError, suggest } from '@espalier/base';
import { byGroup, followOptimizerState } from '@espalier/optim';
import type { GradientTransform, OptimizerState } from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Structure } from '../structure/structure.js';

type Optimizers = GradientTransform | Readonly<Record<string, GradientTransform>>;

/** Whether it is one transform, not one per group. */
export function isTransform(value: unknown): value is GradientTransform {
  const { init, update } = (value ?? {}) as Partial<GradientTransform>;
  return typeof init === 'function' && typeof update === 'function';
}

/** The optimizer of a run and its state, which follows the parameters that train. */
export class RunOptimizer {
  readonly transform: GradientTransform;
  #state: OptimizerState = {};
  /** Until then the optimizer holds nothing of this run: another one may use it. */
  #begun = false;

  constructor(
    private readonly optimizers: Optimizers,
    private readonly structure: Structure,
  ) {
    this.transform = isTransform(optimizers)
      ? optimizers
      : byGroup(optimizers, (path) => structure.parameters.findGroup(path));
  }

  get state(): OptimizerState {
    return this.#state;
  }

  /**
   * Refuses an optimizer for a group without parameters.
   *
   * @throws EspalierError `optim/unknown-group`.
   */
  checkGroups(): void {
    if (isTransform(this.optimizers)) return;
    const { groups } = this.structure.parameters;
    const unknown = Object.keys(this.optimizers).find((group) => !groups.includes(group));
    if (unknown === undefined) return;
    throw new EspalierError('optim/unknown-group', {
      problem: `there is an optimizer for the group '${unknown}', which has no parameters`,
      fix: suggest(unknown, groups),
    });
  }

  /** Makes the state for the parameters as they are now; of `old`, what fits is kept. */
  init(old: OptimizerState = {}): void {
    const { parameters } = this.structure;
    this.#begun = true;
    tf.tidy(() => {
      const fresh = this.transform.init(parameters.values(parameters.trainable));
      this.replaceState(followOptimizerState(old, fresh));
    });
  }

  /** Keeps the new state and disposes what it replaces. */
  replaceState(state: OptimizerState): void {
    const next = new Set(listTensors(state));
    next.forEach((tensor) => tf.keep(tensor));
    tf.dispose(listTensors(this.#state).filter((tensor) => !next.has(tensor)));
    this.#state = state;
  }

  dispose(): void {
    tf.dispose(listTensors(this.#state));
    this.#state = {};
    if (this.#begun) this.transform.dispose?.();
  }
}

function listTensors(state: OptimizerState): Tensor[] {
  return Object.values(state).flatMap((slot) => Object.values(slot));
}
