export { binaryCrossEntropy } from './binary-cross-entropy.js';
export { accuracy, crossEntropy, toDistribution } from './cross-entropy.js';
export { checkLosses } from './loss.js';
export type { Loss, OutputKind, TargetKind } from './loss.js';
export { meanSquaredError } from './mean-squared-error.js';
export type { CrossEntropyOptions } from './options.js';
export { weightedMean } from './reduce.js';
export type { ExampleWeights } from './reduce.js';
export { checkTarget } from './targets.js';
