import { attribute, EspalierError } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import { refuseLateCopy } from '@espalier/model';
import type { GradientTransform } from '@espalier/optim';
import { Telemetry } from '@espalier/telemetry';
import * as tf from '@tensorflow/tfjs-core';
import { BatchReader } from './batch/batch-reader.js';
import type { Batch } from './batch/batch.js';
import { RunClock } from './clock.js';
import type { EpochResult, HookName, StepLog } from './hooks/hooks.js';
import type { Placed } from './hooks/order.js';
import { Taps } from './hooks/taps.js';
import { EpochSums } from './loop/epoch-sums.js';
import type { OwnClaim } from './loop/own-claims.js';
import { RunOptimizer } from './loop/run-optimizer.js';
import type { StageProgress } from './loop/stage.js';
import { Objective } from './objective/objective.js';
import type { ParameterChoice, Plugin, StateContract } from './plugins/plugin.js';
import { Services } from './plugins/services.js';
import type { ResolvedPreset } from './preset/index.js';
import type { RunSettings } from './settings.js';
import { compareCensuses, takeCensus } from './structure/structure-change.js';
import type { Census } from './structure/structure-change.js';
import type { Structure } from './structure/structure.js';

/**
 * What a run does: plugins apply; they make networks of their own; it trains, evaluates or waits; plugins
 * transform the model.
 */
export type Phase = 'setup' | 'networks' | 'training' | 'transform';

/** Hooks of which some taps may have been called and others not, and `assignments` when they began. */
export interface UnderWay {
  readonly hooks: readonly HookName[];
  readonly assignments: number;
}

/** What a run is made from. */
export interface RunOrigin {
  readonly settings: RunSettings;
  /** One transform, or one per parameter group. */
  readonly optimizer: GradientTransform | Readonly<Record<string, GradientTransform>>;
  readonly structure: Structure;
  readonly preset: ResolvedPreset;
  /** Plugins in the order in which they apply, with reasons. */
  readonly order: readonly Placed<Plugin>[];
}

/** One run: its parts and its state. It exists before plugins apply; {@link Run.start} begins training. */
export class Run {
  readonly settings: RunSettings;
  readonly structure: Structure;
  readonly preset: ResolvedPreset;
  readonly order: readonly Placed<Plugin>[];
  readonly clock = new RunClock();
  readonly telemetry = new Telemetry();
  readonly services = new Services();
  readonly taps: Taps;
  readonly objective: Objective;
  readonly optimizer: RunOptimizer;
  readonly batches: BatchReader;

  /** What plugins asked for while they applied: states to save, by id. */
  readonly states = new Map<string, StateContract>();
  /** Plugins' own networks; they are made when every plugin has applied. */
  readonly networks: { readonly plugin: string; add(): void }[] = [];
  readonly teardowns: { readonly plugin: string; undo(): void | Promise<void> }[] = [];
  /** Whether a plugin wants to see the first batch of the next step. */
  lookAhead = false;
  /** By plugin: what it multiplies the optimizer's updates by. */
  readonly updateScales = new Map<string, number>();
  /** The plugin that gives evaluations values in place of parameters, and those values. */
  evaluatedAt: { readonly plugin: string; values(): NamedTensors } | undefined;
  /** How often plugins set parameters. */
  assignments = 0;

  phase: Phase = 'setup';
  /** Ends the transform under way. */
  signal: AbortSignal | undefined;
  /** Numbers of the epoch under way. */
  readonly epoch = new EpochSums();
  /** One entry per finished epoch. */
  history: EpochResult[] = [];
  /**
   * Why a plugin stopped the run; checked after each step and epoch. It stays, and goes into
   * checkpoints, until a transform begins or a fit gets `goOn`.
   */
  stopReason: string | undefined;
  /** How far the run has come in its stages, where it has any. */
  progress: StageProgress = { done: [], from: 0, transformed: {} };
  /** Plugins whose transform has run. */
  readonly transformed = new Set<string>();
  /** The micro-batches of the step under way, from `beforeStep` on. */
  microBatches: readonly Batch[] | undefined;
  /** What is being done, in the midst of which a checkpoint may not be exact. */
  underWay: UnderWay | undefined;
  /** Why the model cannot be used any more, where a transform of it was ended in its middle. */
  cutShort: EspalierError | undefined;
  /** Whether an optimizer of the caller's has had a loss of this run to train by since the last look. */
  isTrainedOutside = false;
  /** Whether a warning said already that other sessions train the same layers. */
  #warnedOfOthers = false;
  #census: Census;

  constructor({ settings, optimizer, structure, preset, order }: RunOrigin) {
    this.settings = settings;
    this.structure = structure;
    this.preset = preset;
    this.order = order;
    this.taps = new Taps(this.clock, () => structure.parameters.values());
    this.objective = new Objective(settings, structure, this.taps, this.clock);
    this.optimizer = new RunOptimizer(optimizer, structure);
    this.batches = new BatchReader(settings, structure, this.clock);
    this.#census = takeCensus(structure);
  }

  /** Every plugin has applied: from here on the run trains. */
  start(): void {
    this.optimizer.check();
    this.optimizer.init();
    this.#census = takeCensus(this.structure);
    this.phase = 'training';
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
    const replaced = structure.followGiven();
    if (replaced.length > 0) telemetry.emit('warning', { message: describeReplaced(replaced) });
    if (structure.followTraining()) this.followStructure();
  }

  /** The same while a step may be under way: what trains is left for the next one. */
  followValues(): void {
    const { structure, telemetry } = this;
    refuseLateCopy();
    structure.refuseChanges();
    const { paths, byOtherSessions } = structure.parameters.takeOver();
    if (paths.length === 0 || (byOtherSessions && this.#warnedOfOthers)) return;
    if (this.isTrainedOutside) {
      this.isTrainedOutside = false;
      return;
    }
    this.#warnedOfOthers ||= byOtherSessions;
    telemetry.emit('warning', { message: describeForeignValues(paths, byOtherSessions) });
  }

  /** Optimizer state and plugins follow the parameters as they are now. */
  followStructure(): void {
    for (const { name, transform } of this.optimizer.parts) {
      if (transform.resumable !== false) continue;
      const message = `what trains has changed, and the optimizer '${name}' keeps state for all parameters together: it starts anew for all of them. tfjs.adam() and its like keep theirs.`;
      this.telemetry.emit('warning', { message });
    }
    this.optimizer.init(this.optimizer.state);
    this.announceStructure();
  }

  /** Notes what is being done while `work` does it. */
  async during<T>(hooks: readonly HookName[], work: () => Promise<T>): Promise<T> {
    this.begin(hooks);
    try {
      return await work();
    } finally {
      this.underWay = undefined;
    }
  }

  /** The same from here on. */
  begin(hooks: readonly HookName[]): void {
    this.underWay = { hooks, assignments: this.assignments };
  }

  /** Calls `structureChange` where the structure changed since it was called last. */
  announceStructure(): void {
    const before = this.#census;
    this.#census = takeCensus(this.structure);
    const change = compareCensuses(before, this.#census);
    if (change) this.taps.callAll('structureChange', { clock: this.clock, ...change });
  }

  /**
   * What the layers' constraints make of values that an optimizer updated; `LayersModel.fit` ignores
   * them. Call it in a `tf.tidy`.
   */
  constrain(updated: NamedTensors): NamedTensors {
    const { settings, structure } = this;
    return settings.semantics === 'tfjs' ? updated : structure.parameters.constrain(updated);
  }

  /** One step more of a plugin's own optimizer, outside of a step of the run. */
  stepOwn(claim: OwnClaim, gradients: NamedTensors): void {
    const { optimizer, structure } = this;
    tf.tidy(() => {
      const steps = optimizer.computeOwn(claim, gradients);
      const next = steps.map((step) => this.constrain(step.next));
      structure.parameters.assign(Object.assign({}, ...next) as NamedTensors);
      optimizer.commit(steps);
    });
    this.assignments += 1;
  }

  /** What the optimizer's updates are multiplied by: 1 where no plugin scales them. */
  get updateScale(): number {
    return [...this.updateScales.values()].reduce((product, scale) => product * scale, 1);
  }

  /** The live values by path, or those that an evaluation uses. */
  values({ trainable, evaluated }: ParameterChoice): NamedTensors {
    const { parameters } = this.structure;
    const live = parameters.values(trainable ? parameters.trainable : undefined);
    if (!evaluated || !this.evaluatedAt) return live;
    const used = Object.entries(this.evaluatedAt.values()).filter(([path]) => live[path]);
    return { ...live, ...Object.fromEntries(used) };
  }

  /** Plugins that have a transform, in their order. */
  get transforming(): readonly string[] {
    return [...new Set(this.taps.listTaps('transform').map(({ plugin }) => plugin))];
  }

  /** Plugins that have a transform which never ran. */
  get untransformed(): readonly string[] {
    return this.transforming.filter((id) => !this.transformed.has(id));
  }

  /** Reports a step at log intervals. */
  report(log: StepLog): void {
    const { step, epoch } = this.clock;
    if (step % this.settings.logInterval === 0) {
      this.telemetry.emit('step', { epoch, step, ...log });
    }
  }

  /**
   * Tears plugins down in reverse order and frees what the run owns.
   *
   * @throws EspalierError `session/teardown`, after all is freed, where a plugin's teardown failed.
   */
  async dispose(): Promise<void> {
    const failures: EspalierError[] = [];
    for (const { plugin, undo } of this.teardowns.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        failures.push(attribute(error, { plugin, hook: 'teardown' }));
      }
    }
    await this.services.close();
    try {
      this.optimizer.dispose();
    } finally {
      this.structure.dispose();
    }
    if (failures.length > 0) {
      throw new EspalierError('session/teardown', {
        problem: `all was torn down, but: ${failures.map(({ message }) => message).join('; ')}`,
        cause: failures[0],
      });
    }
  }
}

function describeReplaced(layers: readonly string[]): string {
  return `trainable was set on '${layers.join("', '")}' of the model that was given to createSession, but plugins have replaced what is of that name: nothing changed there. Set it on the layers of session.model.`;
}

function describeForeignValues(paths: readonly string[], byOtherSessions: boolean): string {
  const [shown, more] = [paths.slice(0, 5), paths.length - 5];
  const named = `'${shown.join("', '")}'${more > 0 ? ` and ${more} more` : ''}`;
  const kept = 'they are taken over; the optimizer and plugins keep their state.';
  return byOtherSessions
    ? `values of ${named} were set by another session that trains the same layers: ${kept} This is said once.`
    : `values of ${named} were set outside of the session (setWeights, model.fit, …): ${kept} A plugin sets values by ctx.assign.`;
}
