export { applyUpdates } from './apply-updates.js';
export { byGroup, chain, restrict, withName } from './chain.js';
export { clipByGlobalNorm, clipByNorm, clipByValue } from './clip.js';
export { ema, emaParams } from './ema.js';
export { followOptimizerState, migrateOptimizerState } from './migrate.js';
export type { SlotFate } from './migrate.js';
export { scaleByAdam, scaleByRms, trace } from './moments.js';
export { adam, adamw, rmsprop, sgd } from './optimizers.js';
export { decayWeights, scale, scaleByLearningRate } from './scale.js';
export {
  cosineSchedule,
  joinSchedules,
  oneCycleSchedule,
  polynomialSchedule,
  stepSchedule,
  valueAt,
  warmup,
} from './schedules.js';
export { fromTfOptimizer } from './tf-optimizer.js';
/** The optimizers of `tf.train` as transforms: the same operations, names, defaults and bits. */
export * as tfjs from './tfjs/index.js';
export { perParameter } from './transform.js';
export type {
  GradientTransform,
  GradientTransformInfo,
  OptimizerState,
  Schedule,
} from './transform.js';
