export { stopGradient } from '@espalier/backend';
export {
  canonicalJson,
  EspalierError,
  fileError,
  keyedRng,
  matches,
  parseOptions,
  printValue,
  readJson,
  sha256Hex,
  suggest,
  writeJson,
} from '@espalier/base';
export type { ErrorParts, ErrorPlace, KeyedRng, NamedTensors } from '@espalier/base';
export {
  decodeSafetensors,
  encodeSafetensors,
  loadLatest,
  memoryStore,
} from '@espalier/checkpoint';
export type { Checkpoint, CheckpointStore, HostTensor } from '@espalier/checkpoint';
export { arraySource, datasetSource, disposeRaw, iterableSource } from '@espalier/data';
export type {
  ArraySourceOptions,
  HostArray,
  IterableSourceOptions,
  IterateOptions,
  RawBatch,
  Source,
} from '@espalier/data';
export {
  accuracy,
  binaryCrossEntropy,
  crossEntropy,
  meanPerExample,
  meanSquaredError,
  toDistribution,
} from '@espalier/losses';
export type { CrossEntropyOptions, Loss, OutputKind, TargetKind } from '@espalier/losses';
export {
  addOutput,
  appendLayers,
  buildModel,
  canonicalNames,
  copyModel,
  countMacsTo,
  disposeModel,
  disposeNewWeights,
  extractGraph,
  filterNames,
  keepOutputs,
  listConstrainedLayers,
  listLayersTo,
  listOwnNames,
  listUncountedLayers,
  makeFunctionModel,
  Network,
  noteExistingWeights,
  orUndo,
  replaceLayer,
  tidyExcept,
  toCanonicalName,
  plainModel,
  unplainLayers,
  valueAndGradients,
  viewModel,
  withKeyedInit,
} from '@espalier/model';
export type {
  EditRecord,
  EndsInActivation,
  ExampleShape,
  FunctionInputs,
  FunctionModelOptions,
  HasPlainLayer,
  Head,
  InputShapes,
  LayerEntry,
  LayerInfo,
  Macs,
  ModelEdit,
  ModelGraph,
  ModelView,
  OutputRef,
  OwnNames,
  ParameterValues,
  PlainLayer,
} from '@espalier/model';
export {
  adam,
  adamw,
  applyUpdates,
  byGroup,
  chain,
  clipByGlobalNorm,
  clipByNorm,
  clipByValue,
  cosineSchedule,
  followOptimizerState,
  fromTfOptimizer,
  oneCycleSchedule,
  polynomialSchedule,
  rmsprop,
  sgd,
  stepSchedule,
  tfjs,
  warmup,
} from '@espalier/optim';
export type { GradientTransform, OptimizerState, Schedule } from '@espalier/optim';
export type { Telemetry, TelemetryEvent, TelemetryEvents } from '@espalier/telemetry';
export type { Batch } from './batch/batch.js';
export type { CheckpointOptions } from './checkpoint/checkpoints.js';
export { TRAINING_DIFFERENCES } from './checkpoint/compare-settings.js';
export type { LoadOptions } from './checkpoint/restore.js';
export type { RunManifest } from './checkpoint/run-manifest.js';
export type { Clock } from './clock.js';
export type { ExportOptions } from './export-model.js';
export { HOOKS } from './hooks/hooks.js';
export type {
  ComputeMetrics,
  EpochEnd,
  EpochResult,
  EvaluateContext,
  FitEnd,
  ForwardResult,
  HookArguments,
  HookKind,
  HookName,
  HookRow,
  LossContext,
  StepContext,
  StepLog,
  StepResult,
  Tap,
  TapPoint,
  TapReturn,
} from './hooks/hooks.js';
export type { Order } from './hooks/order.js';
export type { TapCost } from './hooks/taps.js';
export type { Inspection, LossInfo, OptimizerInfo } from './inspect.js';
export type { FitOptions, FitResult } from './loop/fit.js';
export { stagesShape } from './loop/stage.js';
export type { Stage, StageProgress } from './loop/stage.js';
export type { StagesOptions, StagesResult } from './loop/stages.js';
export type { TransformOptions } from './loop/transform.js';
export { computeShares } from './loop/window-sums.js';
export type { LossTerms, Term, TermOptions } from './objective/loss-terms.js';
export type {
  AuxiliaryNetwork,
  AuxiliaryOptions,
  Gradients,
  NetworkCall,
  ObjectiveOptions,
} from './objective/options.js';
export { checkClassifier, isClassifier } from './plugins/classifier.js';
export { EXITS, FEATURE_MAPS, OUTER_START, SOFT_TARGETS } from './plugins/contracts.js';
export type { Exits, FeatureMaps, OuterStart, SoftTargets } from './plugins/contracts.js';
export { allows } from './plugins/effects.js';
export type { Effects, Mode } from './plugins/effects.js';
export { definePlugin } from './plugins/plugin.js';
export type {
  BaseContext,
  OwnOptimizer,
  ParameterChoice,
  Plugin,
  PluginContext,
  PluginDefinition,
  PluginFactory,
  SavedState,
  StateContract,
  StructureAccess,
  TapsFor,
} from './plugins/plugin.js';
export { createToken } from './plugins/tokens.js';
export type { Token } from './plugins/tokens.js';
export { diffManifests, hashManifest, loadExport, resolvePreset } from './preset/index.js';
export type {
  AnyPluginFactory,
  BindingEntry,
  LoadFrom,
  Manifest,
  ManifestDifference,
  PluginEntries,
  PluginEntry,
  PluginManifest,
  Preset,
  PresetSource,
  ResolvedPreset,
  ResolveOptions,
} from './preset/index.js';
export { createSession, Session } from './session.js';
export type { SessionConfig } from './session-config.js';
export type {
  BeginEpochOptions,
  EvaluateOptions,
  LoopEndOptions,
  PredictOptions,
  SessionStepOptions,
} from './session-options.js';
export type { Semantics } from './settings.js';
export type { ModelSource } from './structure/model-source.js';
export { followPaths } from './structure/structure-change.js';
export type { StructureChange } from './structure/structure-change.js';
