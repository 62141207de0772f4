export { chooseExits, judgeExit, maxProbability } from './early-exit/confidence.js';
export type { ExitChoice, ExitPolicy, Verdicts } from './early-exit/confidence.js';
export { decoupledDivergence } from './distillation/decoupled-divergence.js';
export type { DecoupledOptions } from './distillation/decoupled-divergence.js';
export { deepestExit } from './distillation/deepest-exit.js';
export { distillationLoss, softDivergence, squaredDistance } from './distillation/divergence.js';
export type { DistillationOptions } from './distillation/divergence.js';
export { earlyExitCurve, exitLogits } from './early-exit/early-exit-curve.js';
export type {
  CurvePoint,
  EarlyExitCurveOptions,
  ExitLogits,
} from './early-exit/early-exit-curve.js';
export { exitDistillation } from './distillation/exit-distillation.js';
export { measureTargets } from './distillation/measure-targets.js';
export type { MeasureTargetsOptions, TargetMeasures } from './distillation/measure-targets.js';
export type { ExitDistillationOptions } from './distillation/options.js';
export type { Examples } from './early-exit/batches.js';
export { multiExit } from './multi-exit.js';
export type { MultiExitOptions } from './options.js';
export { predictEarly } from './early-exit/predict-early.js';
export type { EarlyPrediction, PredictEarlyOptions } from './early-exit/predict-early.js';
export { profileExits } from './early-exit/profile-exits.js';
export type { ExitProfile, ProfileExitsOptions } from './early-exit/profile-exits.js';
export { StopGradient } from './exits/stop-gradient.js';
