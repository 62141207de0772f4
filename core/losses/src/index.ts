export { binaryCrossEntropy } from './binary-cross-entropy.js';
export { accuracy, crossEntropy, toDistribution } from './cross-entropy.js';
export type { Loss, OutputKind, TargetKind } from './loss.js';
export { meanSquaredError } from './mean-squared-error.js';
export type { CrossEntropyOptions } from './options.js';
export { meanPerExample, weigh, weightedMean } from './reduce.js';
export type { ExampleWeights } from './reduce.js';
export { checkTarget, checkTargetShape, readTarget, testTargets } from './targets.js';
export type { TargetPlace } from './targets.js';
