import type { NamedTensors } from '@espalier/base';
import { applyUpdates, withName } from '@espalier/optim';
import type { GradientTransform, GradientTransformInfo, OptimizerState } from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { ParameterSet } from '../structure/parameter-set.js';
import type { OwnClaim } from './own-claims.js';

/** What the run's own optimizer learns of a step. */
export type StepInfo = Required<GradientTransformInfo>;

/** What a part makes of gradients, before anything of the run changes. */
export interface PartStep {
  readonly part: OptimizerPart;
  /** Parameters after the step, by path. */
  readonly next: NamedTensors;
  readonly state: OptimizerState;
}

/** Whose a part is. */
interface Owner {
  readonly claim: OwnClaim;
  /** The group for which `createSession` got the transform, where it did. */
  readonly given: string | undefined;
}

/** One of the transforms of a run, the parameters that it moves, and its state. */
export class OptimizerPart {
  state: OptimizerState = {};
  readonly transform: GradientTransform;
  readonly claim: OwnClaim | undefined;
  /** The group for which `createSession` got the transform in place of the plugin's own, where it did. */
  readonly given: string | undefined;
  /** The transform's own name. */
  readonly name: string;
  readonly #paths: ReadonlySet<string>;

  constructor(
    transform: GradientTransform,
    readonly paths: readonly string[],
    owner?: Owner,
  ) {
    this.name = transform.name;
    this.claim = owner?.claim;
    this.given = owner?.given;
    this.transform = owner ? withName(owner.claim.plugin, transform) : transform;
    this.#paths = new Set(paths);
  }

  moves(path: string): boolean {
    return this.#paths.has(path);
  }

  /** Those of the parameters that it moves. */
  select(tensors: NamedTensors): NamedTensors {
    return Object.fromEntries(Object.entries(tensors).filter(([path]) => this.moves(path)));
  }

  /** A plugin's own counts its own steps, and no plugin scales its updates. */
  fitInfo(info: StepInfo): StepInfo {
    return this.claim ? { step: this.claim.steps, updateScale: 1 } : info;
  }

  /** A plugin's own makes no step where none of its parameters has a gradient. */
  compute(
    gradients: NamedTensors,
    parameters: ParameterSet,
    given: StepInfo,
  ): PartStep | undefined {
    const own = this.select(gradients);
    if (this.claim && Object.keys(own).length === 0) return undefined;
    const params = parameters.values(this.paths);
    const info = this.fitInfo(given);
    const { updates, state } = this.transform.update(own, this.state, params, info);
    return { part: this, next: applyUpdates(params, updates, info.updateScale), state };
  }
}

/**
 * All parts as one transform whose first step is the next one of the run: its state is live, its updates
 * are scaled as the run's are, and nothing of the run moves.
 */
export function toVirtualTransform(
  parts: readonly OptimizerPart[],
  now: StepInfo,
): GradientTransform {
  const findPart = (path: string) => parts.find((part) => part.moves(path));
  const at = (part: OptimizerPart, step: number): StepInfo => {
    const { step: base, updateScale } = part.fitInfo(now);
    return { step: base + step, updateScale };
  };
  return {
    name: parts.map(({ name }) => name).join(', '),
    resumable: parts.every(({ transform }) => transform.resumable !== false),
    init: () => Object.assign({}, ...parts.map(({ state }) => state)) as OptimizerState,
    update(gradients, state, params, { step }) {
      const results = parts.map((part) => {
        const own = pickSlots(state, part.state);
        const info = at(part, step);
        const result = part.transform.update(part.select(gradients), own, params, info);
        return { ...result, updates: scaleAll(result.updates, info.updateScale) };
      });
      return {
        updates: Object.assign({}, ...results.map(({ updates }) => updates)) as NamedTensors,
        state: Object.assign({}, ...results.map((each) => each.state)) as OptimizerState,
      };
    },
    learningRate(step, path) {
      const part = findPart(path);
      const info = part && at(part, step);
      const rate = part?.transform.learningRate?.(info!.step, path);
      return rate === undefined ? undefined : rate * info!.updateScale;
    },
  };
}

function pickSlots(state: OptimizerState, like: OptimizerState): OptimizerState {
  return Object.fromEntries(Object.keys(like).map((slot) => [slot, state[slot]!]));
}

function scaleAll(updates: NamedTensors, scale: number): NamedTensors {
  if (scale === 1) return updates;
  return Object.fromEntries(
    Object.entries(updates).map(([path, update]) => [path, tf.mul(update, scale)]),
  );
}
