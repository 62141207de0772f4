import { EspalierError } from '@espalier/core';
import { listParameters } from '@espalier/model';
import type * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { CallbackList, History, LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';
import type { GivenCallbacks } from './list-callbacks.js';

/** A loss or metric as `compile` keeps it: a value per example, per element, or one number. */
export type CompiledFunction = (yTrue: Tensor, yPred: Tensor) => Tensor;

/** What tfjs trains with: tensors of a batch in, the loss and the metrics out. */
export type BatchFunction = (data: Tensor[]) => Scalar[];

/** What fitLoop of tfjs takes, in its order. */
export type FitLoopArguments = [
  train: BatchFunction,
  ins: Tensor[],
  labels: string[],
  batchSize: number | undefined,
  epochs: number | undefined,
  verbose: unknown,
  callbacks: Callback[],
  validate: BatchFunction | null,
  validationIns: Tensor[] | null,
  shuffle: boolean | string | undefined,
  metrics: string[],
  initialEpoch: number | undefined,
  stepsPerEpoch: number | null,
  validationSteps: number | null,
];

export type Callback = CallbackList['callbacks'][number];

/** Tensors as tfjs takes them: one, a list, or by name. */
export type TensorsOfTfjs = Tensor | readonly Tensor[] | Readonly<Record<string, Tensor>>;

/** What tfjs takes for a dataset. */
export interface DatasetOfBatches {
  readonly size?: number;
  iterator(): Promise<{ next(): Promise<DatasetStep> }>;
}

/** What an iterator of a dataset gives. */
export interface DatasetStep {
  readonly value: unknown;
  readonly done?: boolean;
}

/** What `fitDataset` takes. */
export interface FitDatasetArguments {
  readonly callbacks?: GivenCallbacks;
  readonly classWeight?: unknown;
  readonly batchesPerEpoch?: number;
  readonly epochs?: number;
  readonly initialEpoch?: number;
  readonly yieldEvery?: unknown;
  readonly validationData?: DatasetOfBatches | GivenBatch | readonly TensorsOfTfjs[] | null;
  readonly validationBatches?: number;
  readonly validationBatchSize?: number;
}

/** A batch as datasets give it. */
export interface GivenBatch {
  readonly xs: TensorsOfTfjs;
  readonly ys: TensorsOfTfjs;
}

/**
 * The parts of a compiled `LayersModel` of tfjs 4.22 that training goes through. They are public in
 * JavaScript; its types hide some.
 */
export interface CompiledModel {
  readonly inputNames: string[];
  readonly loss: unknown;
  readonly lossFunctions: readonly CompiledFunction[];
  readonly metrics: unknown;
  metricsNames: string[];
  metricsTensors: readonly (readonly [CompiledFunction, number])[];
  readonly collectedTrainableWeights: readonly LayerVariable[];
  readonly optimizer: tf.Optimizer;
  /** Whether a fit is under way. */
  readonly isTraining: boolean;
  stopTraining_: boolean;
  history: History;
  testFunction: BatchFunction;
  compile(args: tfl.ModelCompileArgs): void;
  fit(x: unknown, y: unknown, args?: { readonly classWeight?: unknown }): Promise<History>;
  fitDataset(dataset: DatasetOfBatches, args: FitDatasetArguments): Promise<History>;
  trainOnBatch(x: TensorsOfTfjs, y: TensorsOfTfjs): Promise<number | number[]>;
  getDedupedMetricsNames(): string[];
  makeTrainFunction(): BatchFunction;
  makeTestFunction(): void;
  predictLoop(ins: Tensor | Tensor[], batchSize: number, verbose?: boolean): Tensor | Tensor[];
  fitLoop(...args: FitLoopArguments): Promise<History>;
  standardizeUserData(
    x: TensorsOfTfjs,
    y: TensorsOfTfjs,
    sampleWeight?: unknown,
    classWeight?: unknown,
    checkBatchAxis?: boolean,
    batchSize?: number,
  ): Promise<[Tensor[], Tensor[], (Tensor | null)[] | null]>;
}

/** The model whose methods train: a `tf.sequential` passes each call on to a model inside of it. */
export function findTrainedModel(model: LayersModel): CompiledModel {
  const inner = (model as unknown as { readonly model?: LayersModel }).model;
  const trained = model instanceof tfl.Sequential && inner ? inner : model;
  return trained as unknown as CompiledModel;
}

/** The canonical path of each weight of a model. */
export function mapPaths(model: LayersModel): ReadonlyMap<LayerVariable, string> {
  return new Map(listParameters(model).map(({ path, variable }) => [variable, path]));
}

/**
 * Refuses a model that is not compiled.
 *
 * @throws EspalierError `attach/not-compiled`.
 */
export function checkCompiled(model: LayersModel): void {
  const { optimizer, lossFunctions } = findTrainedModel(model);
  if (optimizer && lossFunctions && lossFunctions.length > 0) return;
  throw new EspalierError('attach/not-compiled', {
    problem: `attach: the model '${model.name}' is not compiled`,
    fix: 'Call model.compile({ optimizer, loss }) before attach(model, preset); for a loop of your own: attach({ model, loss: crossEntropy() }, preset).',
  });
}

/**
 * Refuses what cannot be done while a fit is under way.
 *
 * @throws EspalierError `attach/fitting`.
 */
export function refuseFitting(what: string, { isTraining }: CompiledModel): void {
  if (!isTraining) return;
  throw new EspalierError('attach/fitting', {
    problem: `${what}: a fit of the model is under way`,
    fix: 'Wait until it is over: await model.fit(…).',
  });
}

/** The name of the loss that was compiled for an output; none where it is a function. */
export function findLossName(
  { loss }: Pick<CompiledModel, 'loss'>,
  output: string,
  position: number,
): string | undefined {
  const named = Array.isArray(loss)
    ? (loss as readonly unknown[])[position]
    : typeof loss === 'object' && loss !== null
      ? (loss as Readonly<Record<string, unknown>>)[output]
      : loss;
  return typeof named === 'string' ? named : undefined;
}
