import { createSession, Network } from '@espalier/core';
import type { NamedTensors, RawBatch, Session, StepLog } from '@espalier/core';
import { listParameters } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { readLosses } from './compiled-losses.js';
import type { CompiledLoss } from './compiled-losses.js';
import { findTrainedModel } from './compiled-model.js';
import type { CompiledModel } from './compiled-model.js';
import { readOptimizer } from './compiled-optimizer.js';
import { COMPILED, makeCompiledPlugin, makeNumberLister } from './compiled-plugin.js';
import { FitPosition } from './fit-position.js';
import { readMethods } from './options.js';
import type { AttachOptions, Methods } from './options.js';
import { BatchTranslator } from './raw-batches.js';

/** What one compilation of the model asks for, and the session that trains by it. */
interface Compilation {
  readonly session: Session;
  readonly losses: readonly CompiledLoss[];
  readonly translator: BatchTranslator;
  /** The numbers of a step in the order of tfjs's labels. */
  readonly listNumbers: (log: StepLog) => readonly number[];
}

/** The session of a compiled model; it opens a new one when the model is compiled again. */
export class Training {
  readonly position = new FitPosition();
  /** Has the compiled state; the model itself, or the one inside of a `tf.sequential`. */
  readonly trained: CompiledModel;
  #now!: Compilation;
  /** Whether the model was compiled after the session was opened. */
  #stale = false;
  #assign!: (values: NamedTensors) => void;

  private constructor(
    readonly model: LayersModel,
    private readonly methods: Methods | undefined,
    private readonly options: AttachOptions,
  ) {
    this.trained = findTrainedModel(model);
  }

  static async open(
    model: LayersModel,
    methods: Methods | undefined,
    options: AttachOptions,
  ): Promise<Training> {
    const training = new Training(model, methods, options);
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
    if (!this.#stale) return;
    this.#stale = false;
    const values = copyValues(this.session.parameters());
    try {
      await this.session.dispose();
      this.#now = await this.#open();
      this.#takeOver(values);
    } finally {
      tf.dispose(values);
    }
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
    const { model, trained, position, options } = this;
    const { classes = false, onWarning = warn, ...config } = options;
    const network = new Network(model);
    const losses = readLosses(model, network, classes);
    const listNumbers = makeNumberLister(trained, losses);
    const own = makeCompiledPlugin({ model: trained, losses, position, listNumbers }, (assign) => {
      this.#assign = assign;
    });
    const trains = findTrained(model, trained);
    const session = await createSession({
      semantics: 'tfjs',
      ...config,
      ...readMethods(this.methods, { [COMPILED]: { use: own } }, () => [own()]),
      model,
      loss: Object.fromEntries(losses.map(({ output, loss }) => [output, loss])),
      optimizer: readOptimizer(trained.optimizer),
      trainable: (path) => trains.has(path),
    });
    session.telemetry.on('warning', ({ message }) => onWarning(message));
    return {
      session,
      losses,
      translator: new BatchTranslator(model, network, losses),
      listNumbers,
    };
  }
}

function warn(message: string): void {
  console.warn(message);
}

/** Paths of the weights that `compile` found trainable: flags that are set later count at the next one. */
function findTrained(
  model: LayersModel,
  { collectedTrainableWeights }: CompiledModel,
): Set<string> {
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
