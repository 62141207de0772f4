import { printable } from '@espalier/base';
import { createSession, Network } from '@espalier/core';
import type { NamedTensors, RawBatch, Session, StepLog } from '@espalier/core';
import { listParameters } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Optimizer } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { listClassWeights } from './class-weights.js';
import { readLosses } from './compiled-losses.js';
import type { CompiledLoss } from './compiled-losses.js';
import { findTrainedModel } from './compiled-model.js';
import type { CompiledModel } from './compiled-model.js';
import { readOptimizer } from './compiled-optimizer.js';
import { COMPILED, makeCompiledPlugin, makeNumberLister } from './compiled-plugin.js';
import { FitPosition } from './fit-position.js';
import { goOnFrom, keepsState, readState, writeState } from './optimizer-state.js';
import { readMethods } from './options.js';
import type { AttachOptions, Methods } from './options.js';
import { BatchTranslator } from './raw-batches.js';

/** What one compilation of the model asks for, and the session that trains by it. */
interface Compilation {
  readonly session: Session;
  readonly losses: readonly CompiledLoss[];
  readonly optimizer: Optimizer;
  /** That the optimizer had taken when the session was opened. */
  readonly stepsBefore: number;
  readonly translator: BatchTranslator;
  /** The numbers of a step in the order of tfjs's labels. */
  readonly listNumbers: (log: StepLog) => readonly number[];
}

/** A compiled model, and whether its own `fit` drives the run. */
export interface TrainedSubject {
  readonly model: LayersModel;
  readonly byMethods: boolean;
}

/** The session of a compiled model; it opens a new one when the model is compiled again. */
export class Training {
  readonly position = new FitPosition(() => this.trained.optimizer);
  /** Has the compiled state; the model itself, or the one inside of a `tf.sequential`. */
  get trained(): CompiledModel {
    return findTrainedModel(this.model);
  }
  /** What the last call of `fit` was given. */
  classWeight: unknown;
  #now!: Compilation;
  /** Whether the model was compiled after the session was opened. */
  #stale = false;
  /** Values of a session that was closed, for the next one. */
  #carried: NamedTensors | undefined;
  #assign!: (values: NamedTensors) => void;

  private constructor(
    readonly model: LayersModel,
    private readonly byMethods: boolean,
    private readonly methods: Methods | undefined,
    private readonly options: AttachOptions,
  ) {}

  static async open(
    { model, byMethods }: TrainedSubject,
    methods: Methods | undefined,
    options: AttachOptions,
  ): Promise<Training> {
    const training = new Training(model, byMethods, methods, options);
    training.#now = await training.#open();
    return training;
  }

  get session(): Session {
    return this.#now.session;
  }

  get losses(): readonly CompiledLoss[] {
    return this.#now.losses;
  }

  get translator(): BatchTranslator {
    return this.#now.translator;
  }

  get seed(): number {
    return this.options.seed ?? 0;
  }

  /** Does work with the class weights of a fit; of one output tfjs makes weights of examples from them. */
  async withClassWeights<T>(given: unknown, work: () => Promise<T>): Promise<T> {
    const { losses } = this;
    const list = listClassWeights(given, this.model.outputNames);
    losses.forEach(({ classWeights }, i) => classWeights.set(list[i]));
    try {
      return await work();
    } finally {
      losses.forEach(({ classWeights }) => classWeights.set(undefined));
    }
  }

  listNumbers(log: StepLog): readonly number[] {
    return this.#now.listNumbers(log);
  }

  /** The model was compiled again. */
  markCompiled(): void {
    this.#stale = true;
  }

  /**
   * Follows a model that was compiled again: new optimizer, losses, metrics, and weights that train. What
   * plugins added to the model keeps its values.
   */
  async refresh(): Promise<void> {
    if (!this.#stale && this.trained.optimizer === this.#now.optimizer) return;
    this.#stale = true; // also where the new compilation is refused, until one is taken
    await this.#close();
    this.#now = await this.#open();
    this.#stale = false;
    this.position.beginAnew();
    this.#takeOver(this.#carried!);
    this.release();
  }

  /** Frees what a session that was closed has left to the next one. */
  release(): void {
    tf.dispose(this.#carried);
    this.#carried = undefined;
  }

  async #close(): Promise<void> {
    if (this.#carried) return;
    await this.writeOptimizer();
    this.#carried = copyValues(this.session.parameters());
    await this.session.dispose();
  }

  /** Writes what the run remembers of its steps into the compiled optimizer. */
  async writeOptimizer(): Promise<void> {
    const { optimizer, session, stepsBefore } = this.#now;
    const steps = stepsBefore + session.clock.step;
    if (this.#carried || steps === 0 || !keepsState(optimizer)) return;
    await writeState(optimizer, this.model, { steps, state: session.optimizerState });
  }

  #takeOver(values: NamedTensors): void {
    const own = new Set(listParameters(this.model).map(({ path }) => path));
    const known = this.session.parameters();
    const added = Object.entries(values).filter(
      ([path, { shape }]) =>
        !own.has(path) && known[path] && tf.util.arraysEqual(shape, known[path].shape),
    );
    if (added.length > 0) this.#assign(Object.fromEntries(added));
  }

  async #open(): Promise<Compilation> {
    const { model, trained, position, options, byMethods } = this;
    const { classes = false, onWarning = warn, ...config } = options;
    const network = new Network(model);
    const losses = readLosses(model, network, classes);
    const listNumbers = makeNumberLister(trained, losses);
    const compiled = findCompiled(model, trained);
    const own = makeCompiledPlugin(
      { model: trained, byMethods, losses, position, listNumbers },
      (assign) => {
        this.#assign = assign;
      },
    );
    const remembered = await readState(trained.optimizer, model);
    const optimizer = readOptimizer(trained.optimizer);
    const session = await createSession({
      semantics: 'tfjs',
      ...config,
      ...readMethods(this.methods, { [COMPILED]: { use: own } }, () => [own()]),
      model,
      loss: Object.fromEntries(losses.map(({ output, loss }) => [output, loss])),
      optimizer: remembered ? goOnFrom(optimizer, remembered) : optimizer,
      trainable: (path) => compiled.has(path),
    });
    session.telemetry.on('warning', ({ message }) => onWarning(message));
    const { evaluatedAt } = session.inspect();
    if (evaluatedAt !== undefined && byMethods) onWarning(describeEvaluatedAt(evaluatedAt));
    return {
      session,
      losses,
      optimizer: trained.optimizer,
      stepsBefore: remembered?.steps ?? 0,
      translator: new BatchTranslator(model, network, losses),
      listNumbers,
    };
  }
}

function describeEvaluatedAt(plugin: string): string {
  return `fit computes 'val_loss' and your val_ metrics with the weights that train. Only run.session.evaluate() and metrics of plugins use the weights of '${plugin}'. To end this warning, give that plugin evaluate: false.`;
}

function warn(message: string): void {
  console.warn(printable(message));
}

/** Paths of the weights that `compile` found trainable: layers that are unfrozen later train from the next one on. */
function findCompiled(
  model: LayersModel,
  { collectedTrainableWeights }: CompiledModel,
): ReadonlySet<string> {
  const collected = new Set(collectedTrainableWeights);
  const parameters = listParameters(model).filter(({ variable }) => collected.has(variable));
  return new Set(parameters.map(({ path }) => path));
}

function copyValues(values: NamedTensors): NamedTensors {
  return Object.fromEntries(Object.entries(values).map(([path, value]) => [path, tf.clone(value)]));
}

/** Disposes the tensors of a raw batch that are none of those given. */
export function disposeNew({ x, y, weights }: RawBatch, given: readonly tf.Tensor[]): void {
  const all = [x, y ?? {}, weights ?? {}].flatMap((each) =>
    each instanceof tf.Tensor ? [each] : Object.values(each as NamedTensors),
  );
  tf.dispose(all.filter((tensor) => !given.includes(tensor)));
}
