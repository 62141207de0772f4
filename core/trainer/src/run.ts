import type { EspalierError } from '@espalier/base';
import type { RawBatch, Source } from '@espalier/data';
import type { Loss } from '@espalier/losses';
import { refuseLateCopy } from '@espalier/model';
import type { Network } from '@espalier/model';
import type { ParameterSet, Structure } from '@espalier/model/structure';
import { followOptimizerState } from '@espalier/optim';
import type { OptimizerState, GradientTransform } from '@espalier/optim';
import type { Telemetry } from '@espalier/telemetry';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from './batch.js';
import { toBatch } from './batches.js';
import type { BatchSpec } from './batches.js';
import type { EpochResult, StepLog } from './hooks.js';
import { Objective } from './objective.js';
import type { StateContract } from './plugin.js';
import type { Semantics } from './session-config.js';
import type { StageProgress } from './stages.js';
import { changeBetween, takeCensus } from './structure-change.js';
import type { Census } from './structure-change.js';
import type { HandedOn, Taps } from './taps.js';

/** The mutable clocks of a run; plugins see them read-only. */
export interface RunClock {
  epoch: number;
  step: number;
  microSteps: number;
  batchesInEpoch: number;
}

/** What a run is made of, once and for all. */
export interface RunParts {
  readonly seed: number;
  readonly semantics: Semantics;
  readonly clock: RunClock;
  readonly taps: Taps;
  readonly telemetry: Telemetry;
  /** Of plugins that keep any, by id. */
  readonly states: ReadonlyMap<string, StateContract>;
  readonly structure: Structure;
  readonly losses: Readonly<Record<string, Loss>>;
  /** Outputs that evaluations show before their softmax or sigmoid. */
  readonly logits: readonly string[];
  readonly optimizer: GradientTransform;
  readonly accumulate: number;
  /** Whether a plugin wants to see the first batch of the next step. */
  readonly lookAhead: boolean;
  readonly logInterval: number;
  readonly validation?: Source;
}

/** The state of a run: everything the loop reads and moves, and nothing else. */
export class Run {
  readonly objective = new Objective(this);
  /** One entry per finished epoch. */
  history: EpochResult[] = [];
  /**
   * What a plugin said that stopped the run; checked after each step and epoch. It stays, and goes
   * into checkpoints, until a transform begins or a fit is told to go on.
   */
  stopReason: string | undefined;
  /** How far the run has come in its stages, where it has any. */
  progress: StageProgress = { done: [], from: 0, transformed: {} };
  /** Plugins whose transform has run. */
  readonly transformed = new Set<string>();
  /** Running sums of the epoch under way, weighted by examples. */
  epoch: { weight: number; sums: Record<string, number> } = { weight: 0, sums: {} };
  /** The micro-batches of the step under way, from `beforeStep` on. */
  window: readonly Batch[] | undefined;
  /** Batches as `batch` taps returned them in the step under way, in order. */
  readonly seen: HandedOn<'batch'>[] = [];
  afterStep?: () => Promise<void>;
  afterEpoch?: () => Promise<void>;
  saveCheckpoint?: () => Promise<void>;
  /** Why the model is none to go on with, where a transform of it was ended in its middle. */
  cutShort: EspalierError | undefined;
  #slots: OptimizerState = {};
  /** Whether it was said that other sessions train the same layers. */
  #toldOfOthers = false;
  #census: Census;
  #ahead: { readonly raw: RawBatch; readonly batch: Promise<Batch> } | undefined;

  declare readonly seed: RunParts['seed'];
  declare readonly semantics: RunParts['semantics'];
  declare readonly clock: RunParts['clock'];
  declare readonly taps: RunParts['taps'];
  declare readonly telemetry: RunParts['telemetry'];
  declare readonly states: RunParts['states'];
  declare readonly structure: RunParts['structure'];
  declare readonly losses: RunParts['losses'];
  declare readonly logits: RunParts['logits'];
  declare readonly optimizer: RunParts['optimizer'];
  declare readonly accumulate: RunParts['accumulate'];
  declare readonly lookAhead: RunParts['lookAhead'];
  declare readonly logInterval: RunParts['logInterval'];
  declare readonly validation: RunParts['validation'];

  constructor(parts: RunParts) {
    Object.assign(this, parts);
    this.#census = takeCensus(parts.structure);
  }

  get network(): Network {
    return this.structure.network;
  }
  get allNetworks(): readonly Network[] {
    return this.structure.allNetworks;
  }
  get parameters(): ParameterSet {
    return this.structure.parameters;
  }
  get features(): readonly string[] {
    return this.structure.features;
  }

  get batchSpec(): BatchSpec {
    const { inputNames, idInputs, outputShapes } = this.network;
    const countsExamples = this.semantics === 'tfjs';
    return { inputNames, idInputs, losses: this.losses, outputShapes, countsExamples };
  }

  /** A raw batch checked and named, by how many come before it from this step on. */
  batch(raw: RawBatch, position: number): Promise<Batch> {
    if (this.#ahead?.raw === raw) return this.#ahead.batch;
    return toBatch(raw, this.clock.microSteps + position, this.batchSpec);
  }

  /** The same for the first batch of the next step, which then is not checked again. */
  batchAhead(raw: RawBatch, position: number): Promise<Batch> {
    const batch = this.batch(raw, position);
    this.#ahead = { raw, batch };
    return batch;
  }

  /**
   * Takes over what others did to the model since the last look: values with a warning, and which
   * parameters train. It compares identities, and reads no value.
   *
   * @throws EspalierError `model/changed`, `model/disposed` where the structure is another one.
   */
  followModel(): void {
    this.followValues();
    const { structure, telemetry } = this;
    if (structure.replacedChanged()) telemetry.emit('warning', { message: OTHER_MODEL });
    if (structure.followTraining()) this.followStructure();
  }

  /** The same while a step may be under way: what trains is left for the next one. */
  followValues(): void {
    const { structure, telemetry } = this;
    refuseLateCopy();
    structure.refuseChanges();
    const { paths, byOtherSessions } = structure.parameters.takeOver();
    if (paths.length === 0 || (byOtherSessions && this.#toldOfOthers)) return;
    this.#toldOfOthers ||= byOtherSessions;
    telemetry.emit('warning', { message: foreignValues(paths, byOtherSessions) });
  }

  /** Slots and plugins follow the parameters as they are now. */
  followStructure(): void {
    const { name, resumable } = this.optimizer;
    if (resumable === false) {
      const message = `what trains has changed, and the optimizer '${name}' keeps state that cannot be told apart by parameter: it starts anew for all of them. tfjs.adam() and its like keep theirs.`;
      this.telemetry.emit('warning', { message });
    }
    this.initOptimizerState(this.optimizerState);
    this.announceStructure();
  }

  /**
   * What the layers' constraints make of values that an optimizer updated; `LayersModel.fit` passes
   * over them. Call it in a `tf.tidy`.
   */
  constrain(updated: NamedTensors): NamedTensors {
    return this.semantics === 'tfjs' ? updated : this.parameters.constrain(updated);
  }

  /** Plugins that have a transform which never ran. */
  get untransformed(): readonly string[] {
    const known = this.taps.orderOf('transform').map(({ plugin }) => plugin);
    return [...new Set(known)].filter((id) => !this.transformed.has(id));
  }

  get optimizerState(): OptimizerState {
    return this.#slots;
  }

  /** Makes the optimizer's slots for the parameters as they are; of `old`, what fits is kept. */
  initOptimizerState(old: OptimizerState = {}): void {
    const { parameters, optimizer } = this;
    tf.tidy(() => {
      const fresh = optimizer.init(parameters.values(parameters.trainable));
      this.replaceOptimizerState(followOptimizerState(old, fresh));
    });
  }

  /** Keeps the new slots and disposes those that they replace. */
  replaceOptimizerState(slots: OptimizerState): void {
    const next = new Set(tensorsOf(slots));
    next.forEach((tensor) => tf.keep(tensor));
    tf.dispose(tensorsOf(this.#slots).filter((tensor) => !next.has(tensor)));
    this.#slots = slots;
  }

  /** Tells plugins how the structure changed since they were told last, if it did. */
  announceStructure(): void {
    const before = this.#census;
    this.#census = takeCensus(this.structure);
    const change = changeBetween(before, this.#census);
    if (change) this.taps.tell('structureChange', { clock: this.clock, ...change });
  }

  /** Counts a window of the training source in its epoch. */
  addToEpoch({ total, terms }: StepLog, window: readonly Batch[]): void {
    const weight = window.reduce((sum, batch) => sum + batch.weightSum, 0);
    this.clock.batchesInEpoch += window.length;
    this.epoch.weight += weight;
    const named = Object.entries(terms).map(([name, value]) => [`loss/${name}`, value] as const);
    for (const [name, value] of [['loss', total] as const, ...named]) {
      this.epoch.sums[name] = (this.epoch.sums[name] ?? 0) + weight * value;
    }
  }

  epochMeans(): Record<string, number> {
    const { weight, sums } = this.epoch;
    return Object.fromEntries(
      Object.entries(sums).map(([name, sum]) => [name, sum / (weight || 1)]),
    );
  }

  resetEpoch(): void {
    this.epoch = { weight: 0, sums: {} };
  }

  /** Reports a step at log intervals. */
  report(log: StepLog): void {
    const { step, epoch } = this.clock;
    if (step % this.logInterval === 0) this.telemetry.emit('step', { epoch, step, ...log });
  }

  /** Disposes what `batch` taps made in place of the caller's tensors. */
  disposeReplaced(raw: readonly RawBatch[]): void {
    const callers = new Set(raw.flatMap(({ x, y, weights }) => [x, y, weights].flatMap(flat)));
    const made = this.seen.flatMap(({ value: { inputs, targets, weights } }) =>
      [inputs, targets, weights].flatMap(flat),
    );
    tf.dispose(made.filter((tensor) => !callers.has(tensor)));
    this.seen.length = 0;
  }

  dispose(): void {
    tf.dispose(tensorsOf(this.#slots));
    this.#slots = {};
    this.optimizer.dispose?.();
    this.structure.dispose();
  }
}

const OTHER_MODEL =
  'trainable was set on the model that was given to createSession, but plugins edited it: the session trains session.model, a copy. Nothing changed; set it on the layers of session.model.';

function foreignValues(paths: readonly string[], byOtherSessions: boolean): string {
  const [shown, more] = [paths.slice(0, 5), paths.length - 5];
  const named = `'${shown.join("', '")}'${more > 0 ? ` and ${more} more` : ''}`;
  const kept = 'they are taken over; the optimizer and plugins keep their state.';
  return byOtherSessions
    ? `values of ${named} were set by another session that trains the same layers: ${kept} This is said once.`
    : `values of ${named} were set outside of the session (setWeights, model.fit, …): ${kept} A plugin sets values by ctx.assign.`;
}

function tensorsOf(slots: OptimizerState): Tensor[] {
  return Object.values(slots).flatMap((slot) => Object.values(slot));
}

function flat(given: Tensor | NamedTensors | undefined): Tensor[] {
  if (!given) return [];
  return given instanceof tf.Tensor ? [given] : Object.values(given);
}
