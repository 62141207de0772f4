import { keepBackend, useBackend } from '@espalier/backend';
import type { BackendInfo } from '@espalier/backend';
import { EspalierError, parseOptions, suggest } from '@espalier/base';
import type { CheckpointStore } from '@espalier/checkpoint';
import type { RawBatch, Source } from '@espalier/data';
import { disposeModel, plainModel, withoutConstraints } from '@espalier/model';
import type { Telemetry } from '@espalier/telemetry';
import type { Scalar } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { z } from 'zod';
import { abortedError, refuseAborted } from './aborted.js';
import type { Batch, Clock, NamedTensors } from './batch.js';
import { toBatch, toInputs } from './batches.js';
import { evaluate } from './evaluation.js';
import type { StepLog } from './hooks.js';
import { explain, inspect } from './inspect.js';
import type { Inspection } from './inspect.js';
import type { Gradients, ObjectiveOptions } from './objective.js';
import { refuseData } from './refuse-data.js';
import type { Run } from './run.js';
import { checkConfig, checkSource } from './session-config.js';
import type { CheckpointOptions, SessionConfig } from './session-config.js';
import { assemble } from './setup.js';
import type { Assembled } from './setup.js';
import { restore, snapshot } from './snapshot.js';
import type { LoadOptions } from './snapshot.js';
import { runStages, stagesShape } from './stages.js';
import type { Stage, StageProgress, StagesHost, StagesOptions, StagesResult } from './stages.js';
import { fit, trainStep } from './trainer.js';
import type { FitOptions, FitResult } from './trainer.js';
import { transform } from './transform.js';
import type { TransformOptions } from './transform.js';
import { checkIds } from './word-ids.js';
import { yieldToEventLoop } from './yield-to-event-loop.js';

/**
 * Sets a run up: resolves the preset, sorts and applies the plugins, edits the model.
 *
 * @throws EspalierError naming plugin, hook and field; whatever was applied is undone.
 * @example
 * const session = await createSession({
 *   model: () => tf.sequential({ layers: [tf.layers.dense({ units: 10, inputShape: [784] })] }),
 *   loss: crossEntropy(),
 *   optimizer: adam({ learningRate: 1e-3 }),
 *   train: arraySource({ x, y, batchSize: 32 }),
 * });
 * await session.fit({ epochs: 3 });
 * await session.dispose();
 */
export async function createSession(config: SessionConfig): Promise<Session> {
  checkConfig(config);
  const backend = await chooseBackend(config.backend);
  return new Session(config, await assemble(config, backend));
}

async function chooseBackend(given: SessionConfig['backend']): Promise<BackendInfo> {
  if (given && 'line' in given) return given;
  return given ? useBackend(given) : keepBackend();
}

/** How to evaluate. */
export interface EvaluateOptions {
  readonly signal?: AbortSignal;
}

/** How to predict. */
export interface PredictOptions {
  /** Examples at a time; default 128. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

/** What to export. */
export interface ExportOptions {
  /** Outputs by name; default: the user's own. */
  readonly outputs?: readonly string[];
  /**
   * Decodes compressed layers: the model then has layers of TensorFlow.js in their place, and predicts
   * the same but for rounding.
   */
  readonly dense?: boolean;
  /**
   * False leaves the constraints of layers out, for `tf.loadLayersModel`, which would apply them to the
   * trained weights; default true, for training that goes on.
   */
  readonly constraints?: boolean;
}

/** A run under way. Every method may be called any number of times; `dispose` ends it. */
export class Session {
  /** Whether the store's checkpoints are this run's: it loaded or wrote them. */
  #ownsStore = false;
  /** What changes the run at this moment. */
  #busy: string | undefined;
  #disposal: Promise<void> | undefined;
  /** Whether the last training came to its end, and nothing was said yet of transforms that did not run. */
  #trained = false;
  /** The moment that the newest checkpoint of this run's store holds. */
  #saved: string | undefined;

  constructor(
    private readonly config: SessionConfig,
    private readonly assembled: Assembled,
  ) {
    const { run } = assembled;
    const { everySteps, everyEpochs = 1 } = config.checkpoint ?? {};
    if (!config.checkpoint) return;
    run.saveCheckpoint = async () => {
      if (this.#saved !== momentOf(run)) await this.save();
    };
    run.afterStep = async () => {
      if (everySteps && run.clock.step % everySteps === 0) await this.save();
    };
    run.afterEpoch = async () => {
      if (run.clock.epoch % everyEpochs === 0) await this.save();
    };
  }

  get telemetry(): Telemetry {
    return this.assembled.run.telemetry;
  }

  get clock(): Clock {
    return { ...this.assembled.run.clock };
  }

  get backend(): BackendInfo {
    return this.assembled.backend;
  }

  /** The live model, with what plugins added. It belongs to the session if a function made it. */
  get model(): LayersModel {
    return this.assembled.run.structure.layersModel;
  }

  /** What the plugin said that stopped the run, until it goes on: for loops of one's own too. */
  get stopReason(): string | undefined {
    return this.assembled.run.stopReason;
  }

  /**
   * Trains `epochs` more epochs, or until `untilEpoch` are done in all.
   *
   * @throws EspalierError `checkpoint/occupied` where the store holds another run's checkpoints.
   */
  async fit(options: FitOptions): Promise<FitResult> {
    refuseData('fit', options);
    const train = this.#source('train');
    parseOptions('session.fit', fitShape, options);
    return this.#alone('fit', async () => {
      await this.#claimStore();
      this.#trained = false;
      const result = await fit(this.#run, train, options);
      this.#trained = result.status !== 'aborted';
      return result;
    });
  }

  /**
   * Runs a whole run's stages, each once: what is over, in an earlier process too, is not done again.
   * The validation is evaluated after each transform; checkpoints know the stage.
   *
   * @throws EspalierError `session/transform` for a plugin that has no transform, before anything
   * runs; `session/stages` where stages that are over were others.
   * @example
   * await session.load();
   * await session.runStages([{ epochs: 3 }, { transform: ['quantizer'] }]);
   */
  async runStages(stages: readonly Stage[], options: StagesOptions = {}): Promise<StagesResult> {
    parseOptions('session.runStages', stagesShape, stages);
    parseOptions('session.runStages', stagesOptionsShape, options);
    const named = stages.flatMap((stage) => ('transform' in stage ? [stage.transform] : []));
    named.forEach((ids) => ids !== true && this.#checkTransforms(ids));
    await this.#alone('runStages', () => this.#claimStore());
    const host: StagesHost = {
      run: this.#run,
      fit: (given) => this.fit(given),
      transform: (given) => this.transform(given),
    };
    const result = await runStages(host, stages, options).finally(() => (this.#trained = false));
    if (result.status !== 'aborted') this.#warnUntransformed();
    return result;
  }

  /** How far the run has come in its stages, where it was run in any. */
  get progress(): StageProgress {
    return this.assembled.run.progress;
  }

  /** Plugins that have a transform which never ran, in this process or before. */
  get untransformed(): readonly string[] {
    return this.assembled.run.untransformed;
  }

  /** One optimizer step on one's own batches, for loops of one's own. The caller keeps the tensors. */
  async step(batches: RawBatch | readonly RawBatch[]): Promise<StepLog> {
    refuseData('step', batches);
    const window = [batches as RawBatch | RawBatch[]].flat().filter(Boolean);
    return this.#alone('step', async () => {
      this.#trained = false;
      const log = await trainStep(this.#run, window);
      this.#trained = true;
      return log;
    });
  }

  /**
   * Example-weighted metrics; default: the validation source. A signal ends it between two batches.
   *
   * @throws EspalierError `session/aborted`.
   */
  async evaluate(
    source: Source = this.#source('validation'),
    options: EvaluateOptions = {},
  ): Promise<Record<string, number>> {
    refuseData('evaluate', source);
    checkSource('session.evaluate', source);
    const { signal } = parseOptions('session.evaluate', evaluateShape, options);
    const metrics = await evaluate(this.#run, source, signal);
    if (!metrics) throw abortedError('session.evaluate', signal!);
    return metrics;
  }

  /**
   * Outputs by name for any number of examples. The caller owns them. A signal ends it between two
   * batches.
   *
   * @throws EspalierError `session/aborted`.
   */
  async predict(x: RawBatch['x'], options: PredictOptions = {}): Promise<NamedTensors> {
    const { batchSize, signal } = parseOptions('session.predict', predictShape, options);
    const { network } = this.#run;
    const inputs = toInputs(x, network.inputNames);
    await checkIds(network.idInputs, inputs);
    const pause = async () => {
      await yieldToEventLoop();
      refuseAborted('session.predict', signal);
    };
    refuseAborted('session.predict', signal);
    return network.executeInSlices(inputs, { batchSize, pause });
  }

  /** Checks and names a batch for {@link objective}. `key` names its random draws. */
  async batch(raw: RawBatch, key: Batch['key']): Promise<Batch> {
    refuseData('batch', raw);
    return toBatch(raw, key, this.#run.batchSpec);
  }

  /** The whole loss that all plugins together define, at any parameters. Synchronous. */
  objective(batch: Batch, options?: ObjectiveOptions): Scalar {
    return this.#run.objective.evaluate(batch, options);
  }

  /** Loss and gradients at any parameters. Synchronous; the caller owns the tensors. */
  gradients(batch: Batch, options?: ObjectiveOptions): Gradients {
    return this.#run.objective.gradients(batch, options);
  }

  /** Live parameters by path, all or those that train; never dispose them. */
  parameters({ trainable = false }: { readonly trainable?: boolean } = {}): NamedTensors {
    const { parameters } = this.#run;
    return parameters.values(trainable ? parameters.trainable : undefined);
  }

  /**
   * Lets plugins (default: all) change the trained model's structure; slots of unchanged parameters
   * are kept. In stages: `transform({ plugins: ['block-low-rank'] })`, retrain, then the next.
   * A signal ends it between two taps, or where a plugin says how far it has come.
   *
   * @throws EspalierError `session/aborted`; the session is of no use any more where the model was
   * changed by then (`session/cut-short`).
   */
  async transform(options: TransformOptions = {}): Promise<void> {
    const { plugins, signal } = parseOptions('session.transform', transformShape, options);
    const { run, parts } = this.assembled;
    const known = this.#checkTransforms(plugins ?? []);
    const given = { plugins: plugins ?? known, signal };
    const trained = this.#trained;
    await this.#alone('transform', () => {
      this.#trained = false;
      return transform(parts, run, given);
    });
    this.#trained = trained;
  }

  /** Writes a checkpoint into the configured store (or another); gives back its name. */
  async save(store: CheckpointStore | undefined = this.config.checkpoint?.store): Promise<string> {
    const moment = momentOf(this.#run);
    const name = await snapshot(this.#live, this.config, mustHave(store));
    if (this.#isOwn(store)) [this.#ownsStore, this.#saved] = [true, moment];
    this.telemetry.emit('checkpoint', { name, step: this.clock.step });
    return name;
  }

  /**
   * Takes over the newest good checkpoint; `false` when the store is empty. Nothing is changed
   * unless everything fits.
   *
   * @throws EspalierError `checkpoint/mismatch`, `checkpoint/damaged`.
   */
  async load({
    store = this.config.checkpoint?.store,
    ...options
  }: LoadOptions = {}): Promise<boolean> {
    return this.#alone('load', async () => {
      const found = await restore(this.#live, this.config, mustHave(store), options);
      this.#ownsStore ||= found && this.#isOwn(store);
      return found;
    });
  }

  /**
   * A copy of the trained model for use elsewhere: by default with the user's own outputs only.
   * The caller owns it. It computes what the trained model computes, to the bit.
   *
   * @throws EspalierError `model/rebuild`, naming a layer that its configuration does not describe;
   * `model/unregistered-layer`, `edit/unknown-output`.
   */
  export({ outputs, dense = false, constraints = true }: ExportOptions = {}): LayersModel {
    const { structure } = this.#run;
    const changes = [...(dense ? [plainModel] : []), ...(constraints ? [] : [withoutConstraints])];
    return changes.reduce(
      (model, change) => {
        try {
          return change(model);
        } finally {
          disposeModel(model);
        }
      },
      structure.copy(outputs ?? structure.ownOutputs),
    );
  }

  /** Plugins in order, hooks, parameters, services, manifest, cost of every tap: plain data. */
  inspect(): Inspection {
    return inspect(this.#live);
  }

  /** The same as text: who taps a hook (or every hook), in which order and why. */
  explain(hook?: string): string {
    return explain(this.inspect(), hook);
  }

  /** Tears plugins down in reverse order and frees what the session owns. */
  async dispose(): Promise<void> {
    if (this.#busy) throw busy('dispose', this.#busy);
    if (this.#trained) this.#warnUntransformed();
    return (this.#disposal ??= this.assembled.teardown());
  }

  get #live(): Assembled {
    this.#lookAround();
    return this.assembled;
  }

  /** Takes over what others did to the model, or refuses it, whatever the session is asked for. */
  #lookAround(): void {
    if (this.#disposal) throw disposed();
    const { run } = this.assembled;
    if (run.cutShort) throw run.cutShort;
    if (this.#busy) run.followValues();
    else run.followModel();
  }

  get #run(): Run {
    return this.#live.run;
  }

  /** Does what changes the run; one at a time. */
  async #alone<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy) throw busy(what, this.#busy);
    this.#lookAround();
    this.#busy = what;
    try {
      return await work();
    } finally {
      this.#busy = undefined;
    }
  }

  async #claimStore(): Promise<void> {
    if (this.config.checkpoint && !this.#ownsStore) await claim(this.config.checkpoint);
    this.#ownsStore = true;
  }

  /** Refuses plugins that have no transform; gives back those that have. */
  #checkTransforms(ids: readonly string[]): readonly string[] {
    const known = this.#run.taps.orderOf('transform').map(({ plugin }) => plugin);
    ids.forEach((id) => checkTransforms(id, known));
    return known;
  }

  /** Says once, when a run is over, that its model is not what its plugins would make of it. */
  #warnUntransformed(): void {
    const { untransformed } = this;
    if (untransformed.length === 0) return;
    this.telemetry.emit('warning', {
      message: `the run is over, and no transform of '${untransformed.join("', '")}' has run: the model is as it was trained. Add { transform: true } to the configuration's stages, or call session.transform().`,
    });
  }

  #isOwn(store: CheckpointStore | undefined): boolean {
    return store?.location === this.config.checkpoint?.store.location;
  }

  #source(which: 'train' | 'validation'): Source {
    const source = this.config[which];
    if (source) return source;
    throw new EspalierError('session/no-source', {
      problem: `this session has no ${which} source`,
      fix: `Pass ${which}: arraySource({ … }) to createSession.`,
    });
  }
}

const signalShape = z
  .custom<AbortSignal>((value) => typeof (value as AbortSignal)?.aborted === 'boolean', {
    message: 'must be the signal of an AbortController',
  })
  .optional();
const stagesOptionsShape = z.strictObject({
  signal: signalShape,
  goOn: z.boolean().optional(),
});
const fitShape = stagesOptionsShape
  .extend({
    epochs: z.int().nonnegative().optional(),
    untilEpoch: z.int().nonnegative().optional(),
  })
  .refine(({ epochs, untilEpoch }) => (epochs === undefined) !== (untilEpoch === undefined), {
    message: 'must have one of epochs: n, which trains n more, and untilEpoch: n, a total',
  });
const evaluateShape = z.strictObject({ signal: signalShape });
const predictShape = z.strictObject({
  batchSize: z.int().positive().default(128),
  signal: signalShape,
});
const transformShape = z.strictObject({
  plugins: z.array(z.string()).optional(),
  signal: signalShape,
});

function checkTransforms(id: string, known: readonly string[]): void {
  if (known.includes(id)) return;
  throw new EspalierError('session/transform', {
    problem: `no plugin '${id}' transforms the model`,
    fix: suggest(id, known),
  });
}

function disposed(): EspalierError {
  return new EspalierError('session/disposed', {
    problem: 'this session is disposed',
    fix: 'Make a new one; load() goes on from a checkpoint.',
  });
}

function busy(what: string, under: string): EspalierError {
  return new EspalierError('session/busy', {
    problem: `session.${what} was called while session.${under} is under way`,
    fix: `Await ${under} first${under === 'fit' ? '; its signal ends it early' : ''}.`,
  });
}

const PROBE = 'probe';

/** Tells one moment of a run from others, for its checkpoints. */
function momentOf({ clock, stopReason, progress }: Run): string {
  return JSON.stringify([clock, stopReason, progress.done]);
}

/** Refuses a store that is another run's or cannot be written to, before anything is computed. */
async function claim({ store }: CheckpointOptions): Promise<void> {
  const names = (await store.list()).filter((name) => name !== PROBE);
  if (names.length > 0) {
    throw new EspalierError('checkpoint/occupied', {
      problem: `${store.location} already holds checkpoints of another run: ${names.join(', ')}`,
      fix: 'Call session.load() to go on with that run, or choose another place; nothing was touched.',
    });
  }
  await store.write(PROBE, new Uint8Array());
  await store.remove(PROBE);
}

function mustHave(store: CheckpointStore | undefined): CheckpointStore {
  if (store) return store;
  throw new EspalierError('session/no-store', {
    problem: 'this session has no checkpoint store',
    fix: "Pass checkpoint: { store: fileStore('runs/a') } (from @espalier/core/node).",
  });
}
