export { prune, quantizeOnly, svd, weightedSvd } from './baselines.js';
export { groupReduce } from './group-reduce.js';
export type { GroupReduceOptions } from './stages.js';
