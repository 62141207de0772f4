import { EspalierError } from '@espalier/core';
import type {
  ExportOptions,
  LoadOptions,
  RawBatch,
  Session,
  StepLog,
  TransformOptions,
} from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import { Sequential } from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { refuseFitting } from './compiled-model.js';
import type { CompiledModel, TensorsOfTfjs } from './compiled-model.js';
import { describeRun } from './describe-run.js';
import { fitDataset, fitRows, trainOnBatch } from './fitting.js';
import { LiveModel } from './live-model.js';
import type { AttachOptions, Methods } from './options.js';
import { listTensors } from './raw-batches.js';
import { addSampleWeights } from './sample-weights.js';
import { Shadow } from './shadow.js';
import { disposeNew, Training } from './training.js';
import type { TrainedSubject } from './training.js';

/** A batch as `trainOnBatch` takes it. */
export interface AttachedBatch {
  /** Inputs `[batch, …]`: one tensor, a list, or by name. */
  readonly x: TensorsOfTfjs;
  /** Targets `[batch, …]`, as the compiled losses take them. */
  readonly y: TensorsOfTfjs;
  /** Weight of each example `[batch]`. */
  readonly weights?: Tensor;
}

/** Models that are attached. */
const attachedModels = new WeakSet<LayersModel>();

/** Whether a model is attached. */
export function isAttached(model: LayersModel): boolean {
  return attachedModels.has(model);
}

/** What a run is attached to. */
export interface Subject extends TrainedSubject {
  /** Whether the session has an optimizer of its own, for {@link AttachedRun.step}. */
  readonly steps: boolean;
}

/** Training code that a session has joined: a compiled model, or a loop of one's own; see {@link attach}. */
export class AttachedRun {
  readonly #shadow = new Shadow();
  readonly #live: LiveModel;
  /** The model whose loops are replaced. */
  #installed: CompiledModel | undefined;

  #detached = false;

  private constructor(
    private readonly training: Training,
    private readonly subject: Subject,
  ) {
    this.#live = new LiveModel(training, this.#shadow);
    if (subject.byMethods) this.#install();
  }

  /** Opens the session; of a compiled model it replaces the methods that train. */
  static async open(
    subject: Subject,
    methods: Methods | undefined,
    options: AttachOptions,
  ): Promise<AttachedRun> {
    const { model, steps } = subject;
    attachedModels.add(model);
    try {
      const training = await Training.open(subject, methods, options);
      if (!steps) await refuseUnfired(training);
      return new AttachedRun(training, subject);
    } catch (error) {
      attachedModels.delete(model);
      throw error;
    }
  }

  /** The session that trains: clock, telemetry, parameters, inspection. */
  get session(): Session {
    return this.training.session;
  }

  /** What was read from `compile`, what was changed, by which plugin and why. */
  explain(): string {
    const { trained, session, losses } = this.training;
    return describeRun({ model: trained, session, losses, steps: this.subject.steps });
  }

  /**
   * One step with every hook, for a loop of your own; `next` is the first batch of the next step, for
   * plugins that look ahead. The caller keeps the tensors. `inEpoch`: the step counts in the epoch that
   * `session.beginEpoch()` began.
   */
  async step(
    batch: AttachedBatch,
    { next, inEpoch = false }: { readonly next?: AttachedBatch; readonly inEpoch?: boolean } = {},
  ): Promise<StepLog> {
    if (!this.subject.steps) throw noOptimizerError();
    await this.training.refresh();
    const raw = this.#translate(batch);
    const ahead = next && this.#translate(next);
    try {
      return await this.session.step(raw, { inEpoch, ...(ahead && { next: ahead }) });
    } finally {
      const given = [batch, next].flatMap((each) => (each ? listGiven(each) : []));
      [raw, ahead].forEach((made) => made && disposeNew(made, given));
    }
  }

  /**
   * The loss of all plugins on a batch, for `optimizer.minimize(() => run.loss({ x, y }))`; see `Session.loss`.
   * It may be taken off the run.
   *
   * @throws EspalierError `session/unfired` where a plugin needs hooks that only a step fires.
   */
  readonly loss = (batch: AttachedBatch): Scalar =>
    tf.tidy(() => this.session.loss(this.#translate(batch)));

  /** Lets plugins (default: all) change the structure of the trained model; see `Session.transform`. */
  async transform(plugins?: string | TransformOptions): Promise<void> {
    await this.training.refresh();
    await this.session.transform(typeof plugins === 'string' ? { plugins: [plugins] } : plugins);
    this.#live.follow();
  }

  /** A copy of the trained model; see `Session.export`. The caller owns it. */
  export(options: ExportOptions = {}): LayersModel {
    return this.session.export(options);
  }

  /** Writes a checkpoint; returns its name. */
  async save(store?: LoadOptions['store']): Promise<string> {
    await this.training.refresh();
    return this.session.save(store);
  }

  /**
   * Takes over the newest checkpoint; `false` where there is none. Calls of `fit` and `fitDataset` that it
   * has behind it then return at once, and the next one goes on where it was.
   */
  async load(options: LoadOptions = {}): Promise<boolean> {
    refuseFitting('run.load', this.training.trained);
    await this.training.refresh();
    const loaded = await this.session.load(options);
    this.#live.follow();
    return loaded;
  }

  /**
   * Gives tfjs's methods back to the model, which stays trained, and ends the session.
   *
   * @throws EspalierError `attach/fitting`.
   */
  async detach(): Promise<void> {
    if (this.#detached) return;
    refuseFitting('run.detach', this.training.trained);
    this.#detached = true;
    try {
      await this.training.writeOptimizer();
      this.#live.writeBack();
    } finally {
      this.#shadow.restore();
      attachedModels.delete(this.training.model);
      this.training.release();
      await this.session.dispose();
    }
  }

  #translate(batch: AttachedBatch | undefined): RawBatch {
    const { x, y, weights } = batch ?? ({} as AttachedBatch);
    const { translator } = this.training;
    return tf.tidy(() => translator.fromNames(x, y, weights) as never);
  }

  #install(): void {
    const { training } = this;
    const { model } = training;
    const { compile, save } = model;
    this.#shadow.replace(model, {
      compile: (args) => {
        this.#live.refuseReplaced('model.compile');
        try {
          compile.call(model, args);
          training.markCompiled();
        } finally {
          this.#installLoops();
        }
      },
      save: async (handler, config) => {
        if (config?.includeOptimizer) await training.writeOptimizer();
        return save.call(model, handler, config);
      },
    });
    this.#installLoops();
    if (model instanceof Sequential) this.#refuseLayers(model);
  }

  /** With other layers it would be another model, which no session has joined. */
  #refuseLayers(model: Sequential): void {
    const refuse = (what: string) => () => {
      throw new EspalierError('attach/layers', {
        problem: `${what}: the model '${model.name}' is attached, and its layers stay as they are`,
        fix: 'Change the layers before attach, or after run.detach().',
      });
    };
    this.#shadow.replace(model, { add: refuse('model.add'), pop: refuse('model.pop') });
  }

  /** A `tf.sequential` makes a new model inside of it whenever it is compiled. */
  #installLoops(): void {
    const { training } = this;
    const { trained } = training;
    if (trained === this.#installed) return;
    this.#installed = trained;
    const { fit, fitLoop, fitDataset: dataset, standardizeUserData } = trained;
    this.#shadow.replace(trained, {
      fit: async (x, y, args) => {
        await training.refresh();
        if (!trained.isTraining) training.classWeight = args?.classWeight;
        return fit.call(trained, x, y, args);
      },
      fitLoop: (...args) => fitRows(training, fitLoop.bind(trained), args),
      fitDataset: async (given, args) => {
        await training.refresh();
        return fitDataset(training, dataset.bind(trained), { dataset: given, args });
      },
      standardizeUserData: addSampleWeights(standardizeUserData.bind(trained)),
      trainOnBatch: (x, y) => trainOnBatch(training, x, y),
    });
  }
}

/** Refuses plugins that need hooks which only a step fires. */
async function refuseUnfired({ session }: Training): Promise<void> {
  try {
    session.checkLoss();
  } catch (error) {
    await session.dispose();
    throw error;
  }
}

function noOptimizerError(): EspalierError {
  return new EspalierError('attach/no-optimizer', {
    problem: 'run.step: this run has no optimizer',
    fix: 'Attach with { …, optimizer: tf.train.sgd(0.1) }, or take steps by your own: optimizer.minimize(() => run.loss(batch)).',
  });
}

function listGiven({ x, y, weights }: AttachedBatch): readonly Tensor[] {
  return [x, y, weights ?? []].flatMap(listTensors);
}
