export { blockCodes, prune, quantizeOnly, svd, weightedSvd } from './baselines.js';
export { compressMatrix, expandMatrix } from './compress-matrix.js';
export type { CodedMatrix, CompressedMatrix, CompressMatrixOptions } from './compress-matrix.js';
export { groupReduce } from './group-reduce.js';
export type { GroupReduceOptions } from './stages.js';
