export { byGroup, chain, masked, named } from './chain.js';
export { clipByGlobalNorm, clipByNorm, clipByValue } from './clip.js';
export { ema, emaParams } from './ema.js';
export { migrateSlots, type SlotFate } from './migrate.js';
export { scaleByAdam, scaleByRms, trace } from './moments.js';
export { adam, adamw, rmsprop, sgd } from './optimizers.js';
export { decayWeights, scale, scaleByLearningRate } from './scale.js';
export {
  cosineSchedule,
  joinSchedules,
  oneCycleSchedule,
  polynomialSchedule,
  stepSchedule,
  warmup,
} from './schedules.js';
export { fromTfOptimizer } from './tf-optimizer.js';
export * from './transform.js';
