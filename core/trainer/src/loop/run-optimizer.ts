import { EspalierError, suggest } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import { byGroup, followOptimizerState } from '@espalier/optim';
import type { GradientTransform, OptimizerState } from '@espalier/optim';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { DEFAULT_GROUP } from '../structure/parameter-set.js';
import type { Structure } from '../structure/structure.js';
import { OptimizerPart, toVirtualTransform } from './optimizer-part.js';
import type { PartStep, StepInfo } from './optimizer-part.js';
import { findClaim, refuseEmptyClaims } from './own-claims.js';
import type { OwnClaim } from './own-claims.js';

type Optimizers = GradientTransform | Readonly<Record<string, GradientTransform>>;

/** Whether it is one transform, not one per group. */
export function isTransform(value: unknown): value is GradientTransform {
  const { init, update } = (value ?? {}) as Partial<GradientTransform>;
  return typeof init === 'function' && typeof update === 'function';
}

/**
 * The optimizers of a run and their state, which follows the parameters that train: the run's own, and
 * those that plugins have for parameters of theirs, each with its own count of steps.
 */
export class RunOptimizer {
  readonly #claims: OwnClaim[] = [];
  #parts: readonly OptimizerPart[] = [];
  /** Until then the optimizer holds nothing of this run: another one may use it. */
  #begun = false;

  constructor(
    private readonly optimizers: Optimizers,
    private readonly structure: Structure,
  ) {}

  /** Notes the parameters that a plugin's own optimizer moves. */
  add(claim: OwnClaim): void {
    this.#claims.push(claim);
  }

  get claims(): readonly OwnClaim[] {
    return this.#claims;
  }

  /** The run's own first. */
  get parts(): readonly OptimizerPart[] {
    return this.#parts;
  }

  /** What they keep, by slot and path; slots of plugins' own begin with the plugin's id. */
  get state(): OptimizerState {
    return Object.assign({}, ...this.#parts.map(({ state }) => state)) as OptimizerState;
  }

  /** Steps that plugins' own optimizers have made, by plugin. */
  get ownSteps(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#claims.map(({ plugin, steps }) => [plugin, steps]));
  }

  set ownSteps(counts: Readonly<Record<string, number>>) {
    this.#claims.forEach((claim) => (claim.steps = counts[claim.plugin] ?? 0));
  }

  /**
   * Refuses an optimizer for a group without parameters, and plugins' own for parameters that are not there.
   *
   * @throws EspalierError `optim/unknown-group`, `optim/no-parameters`.
   */
  check(): void {
    const { groups, paths } = this.structure.parameters;
    refuseEmptyClaims(this.#claims, paths);
    if (isTransform(this.optimizers)) return;
    const unknown = Object.keys(this.optimizers).find((group) => !groups.includes(group));
    if (unknown === undefined) return;
    throw new EspalierError('optim/unknown-group', {
      problem: `there is an optimizer for the group '${unknown}', which has no parameters`,
      fix: suggest(unknown, groups),
    });
  }

  /**
   * Makes the state for the parameters as they are now; of `old`, what fits is kept.
   *
   * @throws EspalierError `optim/two-owners`, `optim/several-groups`, `effects/undeclared`,
   * `optim/duplicate-slot`.
   */
  init(old: OptimizerState = {}): void {
    const { parameters } = this.structure;
    const parts = this.#makeParts();
    this.#begun = true;
    tf.tidy(() => {
      const fresh = parts.map((part) => part.transform.init(parameters.values(part.paths)));
      refuseSharedSlots(fresh);
      const state = followOptimizerState(old, Object.assign({}, ...fresh) as OptimizerState);
      this.#replace(
        parts,
        fresh.map((slots) => pick(state, Object.keys(slots))),
      );
    });
  }

  /** What the optimizers make of gradients; nothing changes before {@link commit}. Call it in a `tf.tidy`. */
  compute(gradients: NamedTensors, info: StepInfo): readonly PartStep[] {
    const { parameters } = this.structure;
    return this.#parts.flatMap((part) => part.compute(gradients, parameters, info) ?? []);
  }

  /** The same for one more step of a plugin's own optimizer. */
  computeOwn(claim: OwnClaim, gradients: NamedTensors): readonly PartStep[] {
    const part = this.#parts.find((each) => each.claim === claim)!;
    return [part.compute(gradients, this.structure.parameters, { step: 0, updateScale: 1 })!];
  }

  /** Keeps the new states, disposes what they replace, and counts. */
  commit(steps: readonly PartStep[]): void {
    const states = new Map(steps.map(({ part, state }) => [part, state]));
    this.#replace(
      this.#parts,
      this.#parts.map((part) => states.get(part) ?? part.state),
    );
    steps.forEach(({ part }) => part.claim && (part.claim.steps += 1));
  }

  /** A plugin's own optimizer begins anew. */
  restart(claim: OwnClaim): void {
    const { parameters } = this.structure;
    claim.steps = 0;
    tf.tidy(() => {
      const states = this.#parts.map((part) =>
        part.claim === claim ? part.transform.init(parameters.values(part.paths)) : part.state,
      );
      this.#replace(this.#parts, states);
    });
  }

  /** The optimizers as they are at this moment, for a step that moves nothing of the run. */
  toVirtual(info: StepInfo): GradientTransform {
    return toVirtualTransform(this.#parts, info);
  }

  /** The plugin's own optimizer that moves a parameter, if one does. */
  findClaim(path: string): OwnClaim | undefined {
    return findClaim(this.#claims, path);
  }

  #replace(parts: readonly OptimizerPart[], states: readonly OptimizerState[]): void {
    const next = new Set(states.flatMap(listTensors));
    next.forEach((tensor) => tf.keep(tensor));
    tf.dispose(listTensors(this.state).filter((tensor) => !next.has(tensor)));
    parts.forEach((part, i) => (part.state = states[i]!));
    this.#parts = parts;
  }

  #makeParts(): readonly OptimizerPart[] {
    const { parameters } = this.structure;
    const owners = new Map(parameters.paths.map((path) => [path, this.findClaim(path)]));
    const listPaths = (claim?: OwnClaim) =>
      parameters.trainable.filter((path) => owners.get(path) === claim);
    const main = new OptimizerPart(this.#chooseMain(owners), listPaths());
    return [
      main,
      ...this.#claims.map((claim) => {
        const { transform, given } = this.#chooseOwn(claim, owners);
        return new OptimizerPart(transform, listPaths(claim), { claim, given });
      }),
    ];
  }

  #chooseMain(owners: ReadonlyMap<string, OwnClaim | undefined>): GradientTransform {
    const { optimizers } = this;
    if (isTransform(optimizers)) return optimizers;
    const { parameters } = this.structure;
    const findGroup = (path: string) => parameters.findGroup(path);
    const owned = (group: string) =>
      parameters.paths.every((path) => findGroup(path) !== group || owners.get(path));
    const left = Object.entries(optimizers).filter(([group]) => !owned(group));
    return byGroup(Object.fromEntries(left), findGroup);
  }

  /** A user's explicit optimizer for the group wins. */
  #chooseOwn(claim: OwnClaim, owners: ReadonlyMap<string, OwnClaim | undefined>) {
    const { optimizers } = this;
    const { parameters } = this.structure;
    const own = parameters.paths.filter((path) => owners.get(path) === claim);
    const groups = [...new Set(own.map((path) => parameters.findGroup(path)))];
    const given = isTransform(optimizers)
      ? undefined
      : groups.find((group) => group !== DEFAULT_GROUP && Object.hasOwn(optimizers, group));
    if (given === undefined) return { transform: claim.transform, given };
    if (groups.length > 1) throw severalGroupsError(claim, groups, given);
    return { transform: (optimizers as Record<string, GradientTransform>)[given]!, given };
  }

  dispose(): void {
    tf.dispose(listTensors(this.state));
    if (this.#begun) this.#parts.forEach(({ transform }) => transform.dispose?.());
    this.#parts = [];
  }
}

function pick(state: OptimizerState, slots: readonly string[]): OptimizerState {
  return Object.fromEntries(slots.map((slot) => [slot, state[slot] ?? {}]));
}

function listTensors(state: OptimizerState): Tensor[] {
  return Object.values(state).flatMap((slot) => Object.values(slot));
}

function refuseSharedSlots(states: readonly OptimizerState[]): void {
  const names = states.flatMap((state) => Object.keys(state));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return;
  throw new EspalierError('optim/duplicate-slot', {
    problem: `two optimizers of the run would share the state '${twice}'`,
    fix: 'The optimizer of a group and a plugin with the id of that group both keep it: give the plugin another id.',
  });
}

function severalGroupsError(
  { plugin }: OwnClaim,
  groups: readonly string[],
  given: string,
): EspalierError {
  return new EspalierError('optim/several-groups', {
    problem: `plugin '${plugin}' has one optimizer for parameters of the groups '${groups.join("', '")}', and createSession has another one for '${given}'`,
    fix: `Leave the optimizer of '${given}' out.`,
  });
}
