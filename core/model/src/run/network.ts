import type { NamedTensors } from '@espalier/base';
import { EspalierError, refuseForeignTensor } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, LayerVariable, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { traceHeads } from '../describe/heads.js';
import type { Head, TracedHead } from '../describe/heads.js';
import { findIdInputs } from '../describe/id-inputs.js';
import type { IdInput } from '../describe/id-inputs.js';
import { listRegularizers } from '../describe/regularizers.js';
import type { Regularizer } from '../describe/regularizers.js';
import { canonicalOr, numberDuplicates, unknownLayerError } from '../graph/names.js';
import type { OwnNames } from '../graph/names.js';
import { listOwnNames } from '../graph/own-names.js';
import { writeExactly } from '../weights/layer-variables.js';
import {
  listCalls,
  canonicalNames,
  functional,
  layerPaths,
  listParameters,
} from '../weights/parameters.js';
import type { Layer, Parameter } from '../weights/parameters.js';
import type { Rng } from '../with-random.js';
import { createFrozenTest } from './batch-normalization.js';
import { intercept } from './intercept.js';
import type { Interception } from './intercept.js';
import { makesMasks, MaskTrail } from './masks.js';
import { withoutActivations } from './without-activations.js';

/** How to run a network once. */
export interface ExecuteOptions {
  /** Whether dropout is applied and batch normalization takes the statistics of the batch. */
  readonly training: boolean;
  /** Layers whose outputs are wanted too. */
  readonly features?: readonly string[];
  /** Values to use instead of the parameters' own, by path; tape tensors are welcome. */
  readonly substitute?: ReadonlyMap<string, Tensor>;
  /**
   * Where moving statistics go: to the variables, nowhere (default), or into a map by path, whose
   * tensors are kept, are read in place of the variables, and are the caller's to dispose. They are
   * never constrained. In each case later reads in the same run see them.
   */
  readonly writes?: 'apply' | 'discard' | Map<string, Tensor>;
  /** Outputs that are wanted before the softmax or sigmoid that they end in; see `Network.heads`. */
  readonly logits?: readonly string[];
  /**
   * Whether a batch normalization that is frozen (its `trainable`, or that of a wrapper or model around
   * it, is false) takes its moving statistics in training too, and leaves them alone; default true.
   * False: it takes those of the batch, as in tfjs.
   */
  readonly freeze?: boolean;
  /** Whether the masks of outputs are wanted too; default no. */
  readonly masks?: boolean;
  /** The stream that a layer draws dropout masks and noise from; asked once a layer and run. */
  readonly random?: (layer: string) => Rng;
  /** Sees what each layer gives, those inside of nested models included; the tensors stay the run's. */
  readonly observe?: (layer: string, outputs: readonly Tensor[]) => void;
}

/** What a network is told that its model does not tell. */
export interface NetworkOptions {
  /** Whether parameters train, by path; of those that it does not have, the flags `trainable` say it. */
  readonly trains?: ReadonlyMap<string, boolean> | undefined;
  /** Other names that features are asked for by; default those that the model's layers have in tfjs. */
  readonly ownNames?: OwnNames;
}

/** What a run gives: outputs and asked-for features by name. The caller owns them. */
export type Executed = {
  readonly outputs: NamedTensors;
  readonly features: NamedTensors;
  /** If wanted, by output that a mask reaches (Masking, `maskZero`): bool `[batch, time]`. */
  readonly masks: NamedTensors;
};

/** A functional model over chosen tensors, and where each wanted one is in its results. */
interface Plan {
  readonly model: LayersModel;
  readonly outputs: readonly (readonly [name: string, position: number])[];
  readonly features: readonly (readonly [name: string, position: number])[];
}

/**
 * A model as a function: run at any parameters, with chosen random draws, with moving statistics
 * left alone if wished. Synchronous, differentiable (also twice), and it leaves nothing behind. It
 * owns nothing: the model stays its maker's.
 *
 * @throws EspalierError `model/foreign`, `model/empty`, `model/stateful`,
 * `model/activity-regularizer`, `model/layer-loss`.
 * @example
 * const network = new Network(model);
 * const { outputs } = network.execute({ image: x }, { training: false });
 * outputs['logits']!.print();
 */
export class Network {
  /** Its parameters by path, as live tensors: they stay the model’s. */
  readonly parameters: readonly Parameter[];
  /** Names of its inputs, in the model's order. */
  readonly inputNames: readonly string[];
  /** Names of its outputs, in the model's order. */
  readonly outputNames: readonly string[];
  /** By output, batch first. */
  readonly outputShapes: Readonly<Record<string, readonly (number | null)[]>>;
  /** By input, of those that hold ids of rows of an embedding. */
  readonly idInputs: Readonly<Record<string, IdInput>>;
  /** What its layers add to a loss, wherever they stand. */
  readonly regularizers: readonly Regularizer[];
  readonly #view: LayersModel;
  readonly #names: ReadonlyMap<Layer, string>;
  readonly #layers: ReadonlyMap<Layer, string>;
  readonly #paths: ReadonlyMap<LayerVariable, string>;
  /** Whether a layer makes masks, such as Masking and an Embedding with maskZero. */
  readonly makesMasks: boolean;
  readonly #isFrozen: (layer: Layer) => boolean;
  readonly #plans = new Map<string, Plan>();
  readonly #model: LayersModel;
  readonly #ownNames: OwnNames;
  #heads: Readonly<Record<string, TracedHead>> | undefined;

  /** `prefix` goes before every path and layer name that leaves this class, features excepted. */
  constructor(model: LayersModel, prefix = '', { trains, ownNames }: NetworkOptions = {}) {
    this.#ownNames = ownNames ?? listOwnNames(model);
    this.#model = model;
    this.#view = functional(model);
    refuseStateful(this.#view);
    this.#names = canonicalNames(model);
    this.#layers = new Map(layerPaths(model, prefix));
    this.parameters = listParameters(model, prefix);
    this.#paths = new Map(this.parameters.map(({ path, variable }) => [variable, path]));
    this.regularizers = listRegularizers(this.#view, this.#paths);
    const trainsNow = ({ path, trainable }: Parameter) => trains?.get(path) ?? trainable;
    const training = this.parameters.filter(trainsNow).map(({ variable }) => variable);
    this.#isFrozen = createFrozenTest(model, trains && new Set(training));
    this.makesMasks = [...this.#layers.keys()].some(makesMasks);
    this.inputNames = model.inputs.map((input) => this.#names.get(input.sourceLayer)!);
    const ids = findIdInputs(this.#view);
    this.idInputs = Object.fromEntries(
      this.inputNames.flatMap((name, i) => (ids[i] ? [[name, ids[i]]] : [])),
    );
    this.outputNames = outputNames(model, this.#names);
    this.outputShapes = Object.fromEntries(
      this.outputNames.map((name, i) => [name, model.outputs[i]!.shape]),
    );
  }

  /**
   * Runs the model. `inputs` may hold more than it needs.
   *
   * @throws EspalierError `model/input`, `model/unknown-layer`, `model/shared-layer`,
   * `model/no-logits`, `model/layer-failed` (with the layer's name and the cause).
   */
  execute(inputs: NamedTensors, options: ExecuteOptions): Executed {
    const fed = this.inputNames.map((name, i) => checkInput(name, this.#view.inputs[i]!, inputs));
    const plan = this.#plan(options.features ?? []);
    const { training, writes } = options;
    const written = writes instanceof Map ? writes : new Map<string, Tensor>();
    const trail = options.masks && this.makesMasks ? new MaskTrail() : undefined;
    try {
      const interception = {
        ...this.#interception(options, written),
        ...(trail && { applied: trail.follow.bind(trail) }),
      };
      const run = () => intercept(interception, () => plan.model.apply(fed, { training }));
      const result = this.withLogits(options.logits ?? [], run);
      const results = (Array.isArray(result) ? result : [result]) as Tensor[];
      const outputs = pick(results, plan.outputs);
      const masks = trail ? listMasks(trail, outputs) : {};
      return { outputs, features: pick(results, plan.features), masks };
    } finally {
      if (written !== writes) written.forEach((value) => value.dispose());
      trail?.dispose();
    }
  }

  /** Runs `fn` with these values in place of the parameters of those paths. */
  withValues<T>(substitute: ReadonlyMap<string, Tensor>, fn: () => T): T {
    return intercept(this.#interception({ training: false, substitute }, new Map()), fn);
  }

  /** What each output is, by name. */
  get heads(): Readonly<Record<string, Head>> {
    return this.#traceHeads();
  }

  /**
   * Runs `fn` with the layers behind these outputs as if they ended before their softmax or sigmoid, and no
   * longer than that; an output that has neither stays as it is.
   *
   * @throws EspalierError `model/no-logits`.
   */
  withLogits<T>(outputs: readonly string[], fn: () => T): T {
    if (outputs.length === 0) return fn();
    const heads = outputs.map((name) => [name, this.#traceHeads()[name]!] as const);
    const without = heads.find(([, { gives, hasLogits }]) => gives !== 'values' && !hasLogits);
    if (without) throw noLogitsError(...without);
    return withoutActivations(
      heads.flatMap(([, { ends }]) => ends),
      fn,
    );
  }

  #traceHeads(): Readonly<Record<string, TracedHead>> {
    if (this.#heads) return this.#heads;
    const heads = traceHeads(this.#model);
    this.#heads = Object.fromEntries(this.outputNames.map((name, i) => [name, heads[i]!]));
    return this.#heads;
  }

  /**
   * Outputs for inputs of any length, for inference, in slices of `batchSize`. `pause` is awaited
   * after each. The caller owns the outputs.
   */
  async executeInSlices(
    inputs: NamedTensors,
    { batchSize, pause }: { readonly batchSize: number; pause(): Promise<void> },
  ): Promise<NamedTensors> {
    const size = inputs[this.inputNames[0]!]!.shape[0]!;
    const parts: NamedTensors[] = [];
    try {
      for (let start = 0; start < size; start += batchSize) {
        parts.push(this.#slice(inputs, start, Math.min(batchSize, size - start)));
        await pause();
      }
      const join = (name: string) => tf.concat(parts.map((part) => part[name]!));
      return Object.fromEntries(this.outputNames.map((name) => [name, join(name)]));
    } finally {
      parts.forEach((part) => tf.dispose(part));
    }
  }

  #slice(inputs: NamedTensors, start: number, length: number): NamedTensors {
    return tf.tidy(() => {
      const slice = Object.entries(inputs).map(([name, x]) => [name, tf.slice(x, start, length)]);
      return this.execute(Object.fromEntries(slice), { training: false }).outputs;
    });
  }

  #interception(options: ExecuteOptions, written: Map<string, Tensor>): Interception {
    const { substitute, writes, random, observe, freeze = true } = options;
    const streams = new Map<string, Rng>();
    return {
      layers: this.#layers,
      read: (variable) => {
        const path = this.#paths.get(variable);
        return path === undefined ? undefined : (written.get(path) ?? substitute?.get(path));
      },
      write: (variable, value) => {
        const path = this.#paths.get(variable);
        if (path === undefined) return false;
        if (writes === 'apply') {
          writeExactly(variable, value);
          return true;
        }
        written.get(path)?.dispose();
        written.set(path, tf.keep(tf.clone(value)));
        return true;
      },
      ...(freeze && { isFrozen: this.#isFrozen }),
      ...(observe && { observe }),
      ...(random && { random: (layer: string) => remember(streams, layer, random) }),
    };
  }

  #plan(features: readonly string[]): Plan {
    const key = features.join('\n');
    const known = this.#plans.get(key);
    if (known) return known;
    const { inputs, outputs } = this.#view;
    const wanted = features.map((name) => this.#findFeature(name));
    const fetched = [...new Set([...outputs, ...wanted])];
    const plan = {
      model: tfl.model({ inputs, outputs: fetched }),
      outputs: this.outputNames.map((name, i) => [name, fetched.indexOf(outputs[i]!)] as const),
      features: features.map((name, i) => [name, fetched.indexOf(wanted[i]!)] as const),
    };
    this.#plans.set(key, plan);
    return plan;
  }

  /** What a layer gives in its one call; of several outputs, the first, as in the view of a model. */
  #findFeature(name: string): SymbolicTensor {
    const names = [...this.#names.values()];
    const canonical = canonicalOr(name, names, this.#ownNames);
    const layer = [...this.#names].find(([, known]) => known === canonical)?.[0];
    if (!layer) throw unknownLayerError(name, names);
    const outputs = [...listCalls(this.#view).get(layer)!];
    const calls = new Set(outputs.map(({ nodeIndex }) => nodeIndex)).size;
    const first = outputs.find(({ tensorIndex }) => tensorIndex === 0);
    if (calls === 1 && first) return first;
    throw new EspalierError('model/shared-layer', {
      problem: first
        ? `layer '${name}' has ${calls} calls, so its features are ambiguous`
        : `nothing takes the first output of layer '${name}', so it has no features`,
      fix: 'Ask for a layer behind the one that you mean.',
    });
  }
}

/** Canonical names of a model's outputs: their layers'. */
export function outputNames(model: LayersModel, names: ReadonlyMap<Layer, string>): string[] {
  return numberDuplicates(model.outputs.map((output) => names.get(output.sourceLayer)!));
}

function pick(results: readonly Tensor[], wanted: Plan['outputs']): NamedTensors {
  return Object.fromEntries(wanted.map(([name, position]) => [name, results[position]!]));
}

function listMasks(trail: MaskTrail, outputs: NamedTensors): NamedTensors {
  const masks = Object.entries(outputs).flatMap(([name, output]) => {
    const mask = trail.of(output);
    return mask ? [[name, tf.clone(mask)] as const] : [];
  });
  return Object.fromEntries(masks);
}

function remember(streams: Map<string, Rng>, layer: string, make: (layer: string) => Rng): Rng {
  const stream = streams.get(layer) ?? make(layer);
  streams.set(layer, stream);
  return stream;
}

function checkInput(name: string, { shape }: SymbolicTensor, inputs: NamedTensors): Tensor {
  const given = refuseForeignTensor(`the input '${name}'`, inputs[name]);
  if (given?.shape.length === shape.length) {
    if (shape.every((length, i) => length === null || length === given.shape[i])) return given;
  }
  const expected = shape.map((length, i) => length ?? (i === 0 ? 'batch' : 'any')).join(', ');
  throw new EspalierError('model/input', {
    problem: `input '${name}' must be a tensor of shape [${expected}]`,
    received: given ?? Object.keys(inputs),
  });
}

function refuseStateful(model: LayersModel): void {
  const layer = model.layers.find(({ stateful }) => stateful);
  if (!layer) return;
  throw new EspalierError('model/stateful', {
    problem: `layer '${layer.name}' is stateful: what it gives depends on the batches before, so no step could be replayed`,
    fix: 'Make it with stateful: false.',
  });
}

function noLogitsError(output: string, { layer, gives }: Head): EspalierError {
  return new EspalierError('model/no-logits', {
    problem: `the logits of output '${output}' cannot be computed: layer '${layer}' ${gives === 'unknown' ? 'is of a class of its own' : 'gives probabilities that other layers use, or that no softmax or sigmoid alone made'}`,
    fix: 'End the model in a layer with the activation softmax or sigmoid, or without any.',
  });
}
