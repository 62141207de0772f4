import { keepBackend, useBackend } from '@espalier/backend';
import type { BackendInfo } from '@espalier/backend';
import { EspalierError, parseOptions, readLater, suggest } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import type { CheckpointStore } from '@espalier/checkpoint';
import type { RawBatch, Source } from '@espalier/data';
import type { OptimizerState } from '@espalier/optim';
import type { Telemetry } from '@espalier/telemetry';
import type { Scalar } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Batch } from './batch/batch.js';
import { readBatch, toInputs } from './batch/to-batch.js';
import { readIds } from './batch/word-ids.js';
import { Checkpoints } from './checkpoint/checkpoints.js';
import type { LoadOptions } from './checkpoint/restore.js';
import type { Clock } from './clock.js';
import { exportModel } from './export-model.js';
import type { ExportOptions } from './export-model.js';
import type { EpochResult, StepLog } from './hooks/hooks.js';
import { explain, inspect } from './inspect.js';
import type { Inspection } from './inspect.js';
import { abortedError, refuseAborted } from './loop/aborted.js';
import { beginEpoch, endEpoch, endLoop, stepInEpoch } from './loop/epoch.js';
import { evaluate } from './loop/evaluate.js';
import { fit } from './loop/fit.js';
import type { FitOptions, FitResult } from './loop/fit.js';
import { OuterLoss } from './loop/outer-loss.js';
import { stagesShape } from './loop/stage.js';
import type { Stage, StageProgress } from './loop/stage.js';
import { runStages } from './loop/stages.js';
import type { StagesHost, StagesOptions, StagesResult } from './loop/stages.js';
import { trainStep } from './loop/step.js';
import { transform } from './loop/transform.js';
import type { TransformOptions } from './loop/transform.js';
import { yieldToEventLoop } from './loop/yield-to-event-loop.js';
import type { Gradients, ObjectiveOptions } from './objective/options.js';
import { refuseData } from './refuse-data.js';
import type { Run } from './run.js';
import { checkConfig, checkSource } from './session-config.js';
import type { SessionConfig } from './session-config.js';
import * as shapes from './session-options.js';
import type {
  BeginEpochOptions,
  EvaluateOptions,
  LoopEndOptions,
  PredictOptions,
  SessionStepOptions,
} from './session-options.js';
import { setUp } from './setup.js';

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
  const run = await setUp(config, backend);
  return new Session(run, new Checkpoints(run, config.checkpoint));
}

async function chooseBackend(given: SessionConfig['backend']): Promise<BackendInfo> {
  if (given && 'line' in given) return given;
  return given ? useBackend(given) : keepBackend();
}

/** A run under way. Every method may be called any number of times; `dispose` ends it. */
export class Session {
  readonly #outerLoss: OuterLoss;
  /** What changes the run at this moment. */
  #busy: string | undefined;
  /** What reads the run at this moment. */
  readonly #readers: string[] = [];
  #disposal: Promise<void> | undefined;
  /** Whether the last training came to its end, and nothing was said yet of transforms that did not run. */
  #trained = false;

  constructor(
    private readonly run: Run,
    private readonly checkpoints: Checkpoints,
  ) {
    this.#outerLoss = new OuterLoss(run);
  }

  get telemetry(): Telemetry {
    return this.run.telemetry;
  }

  get clock(): Clock {
    return { ...this.run.clock };
  }

  get backend(): BackendInfo {
    return this.run.settings.backend;
  }

  /** The live model, with what plugins added. It belongs to the session if a function made it. */
  get model(): LayersModel {
    return this.run.structure.layersModel;
  }

  /** Why a plugin stopped the run, until it continues; a loop of your own reads it too. */
  get stopReason(): string | undefined {
    return this.run.stopReason;
  }

  /** Whether a plugin looks ahead: give the next batch to {@link step}, so that it can do its part. */
  get looksAhead(): boolean {
    return this.run.lookAhead;
  }

  /**
   * Trains `epochs` more epochs, or until `untilEpoch` are done in all.
   *
   * @throws EspalierError `checkpoint/occupied` where the store holds another run's checkpoints.
   */
  async fit(options: FitOptions): Promise<FitResult> {
    refuseData('fit', options);
    const train = this.#source('train');
    parseOptions('session.fit', shapes.fitShape, options);
    return this.#runLoop('fit', { claims: true }, async () => {
      this.#trained = false;
      const result = await fit(this.run, train, this.checkpoints, options);
      this.#trained = result.status !== 'aborted';
      return result;
    });
  }

  /**
   * Runs the stages of a run, each once: stages that are over, also in an earlier process, are skipped.
   * The validation is evaluated after each transform; checkpoints hold the stage.
   *
   * @throws EspalierError `session/transform` for a plugin that has no transform, before anything
   * runs; `session/stages` where stages that are over were others.
   * @example
   * await session.load();
   * await session.runStages([{ epochs: 3 }, { transform: ['quantizer'] }]);
   */
  async runStages(stages: readonly Stage[], options: StagesOptions = {}): Promise<StagesResult> {
    parseOptions('session.runStages', stagesShape, stages);
    parseOptions('session.runStages', shapes.stagesOptionsShape, options);
    const named = stages.flatMap((stage) => ('transform' in stage ? [stage.transform] : []));
    named.forEach((ids) => ids !== true && this.#checkTransforms(ids));
    const release = await this.#runAlone('runStages', () => this.checkpoints.claim());
    const host: StagesHost = {
      run: this.#live,
      checkpoints: this.checkpoints,
      fit: (given) => this.fit(given),
      transform: (given) => this.transform(given),
      runAlone: (work) => this.#runAlone('runStages', work),
    };
    const run = () => runStages(host, stages, options);
    const result = await this.#read('runStages', run).finally(() => {
      this.#trained = false;
      return release();
    });
    if (result.status !== 'aborted') this.#warnUntransformed();
    return result;
  }

  /** How far the run has come in its stages, where it was run in any. */
  get progress(): StageProgress {
    return this.run.progress;
  }

  /** Plugins that have a transform which never ran, in this process or before. */
  get untransformed(): readonly string[] {
    return this.run.untransformed;
  }

  /**
   * One optimizer step on given batches, for a loop of your own. The caller keeps the tensors. With
   * `inEpoch: true` it is a step of the epoch that {@link beginEpoch} began.
   *
   * @throws EspalierError `session/epoch`, `step/non-finite`; with `inEpoch` `checkpoint/occupied`.
   * @example
   * await session.beginEpoch();
   * for (const [i, batch] of batches.entries()) {
   *   await session.step(batch, { next: batches[i + 1], inEpoch: true });
   *   if (session.stopReason) break;
   * }
   * await session.endEpoch();
   */
  async step(
    batches: RawBatch | readonly RawBatch[],
    options?: SessionStepOptions,
  ): Promise<StepLog> {
    refuseData('step', batches, options);
    const { next, inEpoch } = options
      ? parseOptions('session.step', shapes.stepShape, options)
      : NO_OPTIONS;
    const raw = [batches as RawBatch | RawBatch[]].flat().filter(Boolean);
    const take = () =>
      inEpoch
        ? stepInEpoch(this.run, raw, { checkpoints: this.checkpoints, next })
        : trainStep(this.run, raw, { next });
    return this.#runLoop('step', { claims: inEpoch === true, keeps: true }, async () => {
      this.#trained = false;
      const log = await take();
      this.#trained = true;
      return log;
    });
  }

  /**
   * Begins an epoch of a loop of your own: `epochStart` fires. Once in an epoch: a second call, or one in
   * a run that was resumed within its epoch, does nothing.
   *
   * @throws EspalierError `checkpoint/occupied` where the store holds another run's checkpoints.
   */
  async beginEpoch(options: BeginEpochOptions = {}): Promise<void> {
    const { goOn = false } = parseOptions('session.beginEpoch', shapes.beginEpochShape, options);
    return this.#runLoop('beginEpoch', { claims: true, keeps: true }, () => {
      if (goOn) this.run.stopReason = undefined;
      return beginEpoch(this.run);
    });
  }

  /**
   * Ends an epoch of a loop of your own: the means of its steps and `metrics` (such as those of
   * {@link evaluate}, named `val/…`) go into the history, `epochEnd` fires, and a checkpoint is written
   * where one is due.
   *
   * @throws EspalierError `session/epoch` where no step counts in the epoch; `epoch/metric` for a name
   * that a mean has already.
   * @example
   * const { loss } = await session.evaluate();
   * await session.endEpoch({ 'val/loss': loss });
   */
  async endEpoch(metrics: Readonly<Record<string, number>> = {}): Promise<EpochResult> {
    parseOptions('session.endEpoch', shapes.metricsShape, metrics);
    return this.#runLoop('endEpoch', { claims: true, keeps: true }, () =>
      endEpoch(this.run, this.checkpoints, metrics),
    );
  }

  /**
   * Ends a loop of your own as a fit ends: a last checkpoint, unless `status` is `failed`, and `finish`
   * fires. Training may go on afterwards.
   *
   * @example
   * await session.endFit();
   */
  async endFit(options: LoopEndOptions = {}): Promise<void> {
    const given = parseOptions('session.endFit', shapes.loopEndShape, options);
    const { stopReason: reason } = this.run;
    const status = reason === undefined ? 'completed' : 'stopped';
    const end = { status, ...(reason !== undefined && { reason }), ...given } as const;
    await this.#runLoop('endFit', { claims: end.status !== 'failed' }, () =>
      endLoop(this.run, this.checkpoints, end).finally(() => this.checkpoints.release()),
    );
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
    refuseData('evaluate', source, options);
    checkSource('session.evaluate', source);
    const { signal } = parseOptions('session.evaluate', shapes.evaluateShape, options);
    const metrics = await this.#read('evaluate', () => evaluate(this.#live, source, signal));
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
    const { batchSize, signal } = parseOptions('session.predict', shapes.predictShape, options);
    return this.#read('predict', async () => {
      const { batches, structure } = this.#live;
      const { network } = structure;
      const inputs = toInputs(x, batches.spec);
      await readLater(readIds(network.idInputs, inputs));
      const pause = async () => {
        await yieldToEventLoop();
        refuseAborted('session.predict', signal);
      };
      refuseAborted('session.predict', signal);
      return network.executeInSlices(inputs, { batchSize, pause });
    });
  }

  /** Checks and names a batch for {@link objective}. `key` names its random draws. */
  async batch(raw: RawBatch, key: Batch['key']): Promise<Batch> {
    refuseData('batch', raw);
    return this.#read('batch', () => readLater(readBatch(raw, key, this.#live.batches.spec)));
  }

  /** The whole loss that all plugins define together, at any parameters. Synchronous. */
  objective(batch: Batch, options?: ObjectiveOptions): Scalar {
    return this.#live.objective.evaluate(batch, options);
  }

  /**
   * The whole loss on a batch for an optimizer of your own, with all terms of plugins and regularizers:
   * synchronous, differentiable by the model's variables. Each `minimize` is a step of the clock, each call in
   * it a micro-batch with new random draws; moving statistics move. Outside of a differentiation it is a value
   * only, and nothing moves. The batch is checked at once; its tensors stay the caller's. Numbers that are
   * not finite are not refused, and the optimizer's own state is in no checkpoint.
   *
   * @throws EspalierError `session/unfired` for a plugin that needs hooks of `step` ({@link checkLoss});
   * `session/constraints`; what batches are refused for.
   * @example
   * const optimizer = tf.train.adam();
   * optimizer.minimize(() => session.loss({ x, y }));
   */
  loss(raw: RawBatch): Scalar {
    refuseData('loss', raw);
    if (this.#busy) throw busyError('loss', this.#busy);
    this.#followModel();
    return this.#outerLoss.evaluate(raw);
  }

  /**
   * Refuses what a loop on {@link loss} cannot do, before its first step; `loss` itself does so, too.
   *
   * @throws EspalierError `session/unfired`, `session/constraints`.
   */
  checkLoss(): void {
    this.#followModel();
    this.#outerLoss.check();
  }

  /** Loss and gradients at any parameters. Synchronous; the caller owns the tensors. */
  gradients(batch: Batch, options?: ObjectiveOptions): Gradients {
    return this.#live.objective.gradients(batch, options);
  }

  /** Live parameters by path, all or those that train; never dispose them. */
  parameters({ trainable = false }: { readonly trainable?: boolean } = {}): NamedTensors {
    const { parameters } = this.#live.structure;
    return parameters.values(trainable ? parameters.trainable : undefined);
  }

  /** What the optimizer remembers, by slot and parameter path; live tensors, never dispose them. */
  get optimizerState(): OptimizerState {
    return this.#live.optimizer.state;
  }

  /**
   * Lets plugins (default: all) change the structure of the trained model; the optimizer state of unchanged
   * parameters is kept. In stages: `transform({ plugins: ['block-low-rank'] })`, retrain, then the next.
   * A signal ends it between two taps, or where a plugin calls `ctx.progress`.
   *
   * @throws EspalierError `session/aborted`; where the model was changed by then, the session refuses
   * further calls (`session/cut-short`).
   */
  async transform(options: TransformOptions = {}): Promise<void> {
    const { plugins, signal } = parseOptions('session.transform', shapes.transformShape, options);
    const known = this.#checkTransforms(plugins ?? []);
    const given = { plugins: plugins ?? known, signal };
    const trained = this.#trained;
    await this.#runAlone('transform', () => {
      this.#trained = false;
      return transform(this.run, given);
    });
    this.#trained = trained;
  }

  /** Writes a checkpoint into the configured store (or another); returns its name. */
  async save(store?: CheckpointStore): Promise<string> {
    this.#followModel();
    return this.#read('save', () => this.checkpoints.save(store));
  }

  /**
   * Takes over the newest good checkpoint; `false` when the store is empty. Nothing is changed
   * unless everything fits.
   *
   * @throws EspalierError `checkpoint/mismatch`, `checkpoint/other-release`, `checkpoint/damaged`.
   */
  async load(options: LoadOptions = {}): Promise<boolean> {
    return this.#runAlone('load', () => this.checkpoints.load(options));
  }

  /**
   * A copy of the trained model for use elsewhere: by default with the user's own outputs only.
   * The caller owns it. It computes what the trained model computes, to the bit.
   *
   * @throws EspalierError `model/rebuild`, naming a layer that its configuration does not describe;
   * `model/unregistered-layer`, `edit/unknown-output`.
   */
  export(options: ExportOptions = {}): LayersModel {
    return exportModel(this.#live.structure, options);
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
    const under = this.#busy ?? this.#readers[0];
    if (under !== undefined) throw busyError('dispose', under);
    if (this.#trained) this.#warnUntransformed();
    return (this.#disposal ??= this.checkpoints.release().finally(() => this.run.dispose()));
  }

  /** The run, once it took over what others did to its model. */
  get #live(): Run {
    this.#followModel();
    return this.run;
  }

  /** Takes over what others did to the model, or refuses it; every method calls it first. */
  #followModel(): void {
    if (this.#disposal) throw disposedError();
    const { run } = this;
    if (run.cutShort) throw run.cutShort;
    if (this.#busy) run.followValues();
    else run.followModel();
  }

  /** Runs work that reads the run, during which nobody may dispose it. */
  async #read<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    this.#readers.push(what);
    try {
      return await work();
    } finally {
      this.#readers.splice(this.#readers.indexOf(what), 1);
    }
  }

  /** Runs work that changes the run, one at a time. */
  async #runAlone<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy) throw busyError(what, this.#busy);
    this.#followModel();
    this.#busy = what;
    try {
      return await work();
    } finally {
      this.#busy = undefined;
    }
  }

  /**
   * The same for a part of a loop; one that `claims` may write checkpoints, and has their store alone until it
   * ends, or, where it `keeps` it, until the loop does.
   */
  #runLoop<T>(
    what: string,
    { claims, keeps = false }: { readonly claims: boolean; readonly keeps?: boolean },
    work: () => Promise<T>,
  ): Promise<T> {
    return this.#runAlone(what, async () => {
      const release = claims ? await this.checkpoints.claim() : undefined;
      return work().finally(() => (keeps ? undefined : release?.()));
    });
  }

  /** Refuses plugins that have no transform; gives back those that have. */
  #checkTransforms(ids: readonly string[]): readonly string[] {
    const known = this.#live.transforming;
    ids.forEach((id) => checkTransforms(id, known));
    return known;
  }

  /** Warns at the end of a run whose plugins have transforms that never ran. */
  #warnUntransformed(): void {
    const { untransformed } = this;
    if (untransformed.length === 0) return;
    this.telemetry.emit('warning', {
      message: `the run is over, and no transform of '${untransformed.join("', '")}' has run: the model is not transformed. Add { transform: true } to the configuration's stages, or call session.transform().`,
    });
  }

  #source(which: 'train' | 'validation'): Source {
    const source = this.run.settings[which];
    if (source) return source;
    throw new EspalierError('session/no-source', {
      problem: `this session has no ${which} source`,
      fix: `Pass ${which}: arraySource({ … }) to createSession.`,
    });
  }
}

const NO_OPTIONS: SessionStepOptions = {};

function checkTransforms(id: string, known: readonly string[]): void {
  if (known.includes(id)) return;
  throw new EspalierError('session/transform', {
    problem: `no plugin '${id}' transforms the model`,
    fix: suggest(id, known),
  });
}

function disposedError(): EspalierError {
  return new EspalierError('session/disposed', {
    problem: 'this session is disposed',
    fix: 'Make a new one; load() goes on from a checkpoint.',
  });
}

function busyError(what: string, under: string): EspalierError {
  return new EspalierError('session/busy', {
    problem: `session.${what} was called while session.${under} is under way`,
    fix: `Await ${under} first${under === 'fit' ? '; its signal ends it early' : ''}.`,
  });
}
