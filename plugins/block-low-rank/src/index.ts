import './codes/register.js';

export { findCodebook } from './codes/codebooks.js';
export type { Codebook } from './codes/codebooks.js';
export { expandCodes } from './codes/expand-codes.js';
export type { CodedMatrix } from './codes/expand-codes.js';
export { blockCodes, blockCodesOptions } from './codes/block-codes.js';
export type { BlockCodesOptions } from './codes/block-codes.js';
export { codeMatrix, codeRows } from './codes/code-matrix.js';
export type { BlockCodedMatrix, CodeKnowledge, CodeMatrixOptions } from './codes/code-matrix.js';
export type { BlockCodesConfig } from './codes/layout.js';
export type { AllocateBits } from './codes/plan.js';
export type { RowSource } from './codes/row-source.js';
export { finishTraining, startTraining } from './codes/train-codes.js';
export type { TrainingMatrix } from './codes/train-codes.js';
export type { BlockCodesTrainingConfig } from './codes/training-layout.js';
export { expandFactors, factorMatrix } from './factor-matrix.js';
export type { FactorOptions } from './factor-matrix.js';
export type { LowRankMatrix } from './maths/approximate.js';
export type { Block } from './maths/blocks.js';
export type { BlockMatrix, BlockMatrixConfig } from './layers/block-matrix.js';
export { blockLowRank } from './block-low-rank.js';
export {
  BlockLowRankDense,
  BlockLowRankEmbedding,
  BlockLowRankTiedDense,
} from './layers/layers.js';
export type { BlockLowRankDenseConfig, BlockLowRankEmbeddingConfig } from './layers/layers.js';
export { blockLowRankOptions, targetOptions } from './options.js';
export type { BlockLowRankOptions, TargetOptions } from './options.js';
export { rankRule } from './rank-rule.js';
export { greedyRanks, proportionalRanks, uniformRanks } from './maths/rank-rules.js';
export { topK, topKSearch } from './top-k/top-k.js';
export type { SearchableLayer, TopK, TopKSearch } from './top-k/top-k.js';
export { wordImportance } from './word-importance.js';
