export { stopGradient } from '@espalier/backend';
export * from '@espalier/base';
export * from '@espalier/checkpoint';
export * from '@espalier/data';
export * from '@espalier/losses';
export * from '@espalier/model';
export * from '@espalier/optim';
export type { Telemetry, TelemetryEvent, TelemetryEvents } from '@espalier/telemetry';
export type { Batch } from './batch/batch.js';
export type { CheckpointOptions } from './checkpoint/checkpoints.js';
export type { LoadOptions } from './checkpoint/restore.js';
export type { RunManifest } from './checkpoint/run-manifest.js';
export type { Clock } from './clock.js';
export type { ExportOptions } from './export-model.js';
export { HOOKS } from './hooks/hooks.js';
export type * from './hooks/hooks.js';
export type { Order } from './hooks/order.js';
export type { TapCost } from './hooks/taps.js';
export { explain } from './inspect.js';
export type { Inspection, LossInfo } from './inspect.js';
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
export * from './plugins/contracts.js';
export { allows } from './plugins/effects.js';
export type { Effects, Mode } from './plugins/effects.js';
export * from './plugins/plugin.js';
export * from './plugins/tokens.js';
export * from './preset/index.js';
export * from './session.js';
export type { SessionConfig } from './session-config.js';
export type { EvaluateOptions, PredictOptions } from './session-options.js';
export type { Semantics } from './settings.js';
export type { ModelSource } from './structure/model-source.js';
export { followPaths } from './structure/structure-change.js';
export type { StructureChange } from './structure/structure-change.js';
