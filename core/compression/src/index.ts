import './register.js';

export { allocateBits } from './allocation/allocate-bits.js';
export type {
  AllocateBitsOptions,
  BitAllocation,
  BasisCurve,
  BitChoice,
  RowGroup,
} from './allocation/allocate-bits.js';
export { normalDistortions, normalLevels } from './allocation/normal-levels.js';
export type { NormalLevels } from './allocation/normal-levels.js';
export { checkMatrix } from './check-matrix.js';
export { compressionReport } from './compression-report.js';
export type {
  CompressionDetail,
  CompressionEntry,
  CompressionReportLine,
  SizeCost,
} from './compression-report.js';
export {
  BIT_ALLOCATOR,
  IMPORTANCE,
  RANK_ALLOCATOR,
  VOCAB_PARTITIONER,
  WORD_COUNTS,
} from './contracts.js';
export type {
  BitAllocator,
  BlockSpectrum,
  Importance,
  ImportanceRequest,
  ImportanceWeights,
  Matrix,
  Measure,
  Objective,
  RankAllocator,
  RefineRequest,
  VocabPartition,
  VocabPartitioner,
  WordCounts,
} from './contracts.js';
export { compareRows, neighbourOverlap } from './fidelity/compare-rows.js';
export type {
  CompareRowsOptions,
  NeighbourOptions,
  RowComparison,
} from './fidelity/compare-rows.js';
export { decileErrors, frequencyDeciles, relativeError } from './fidelity/fidelity.js';
export type { RelativeErrorOptions } from './fidelity/fidelity.js';
export { floorCounts } from './floor-counts.js';
export { parseBytes } from './parse-bytes.js';
export {
  describeRules,
  penalizeMatrix,
  readRules,
  refuseConstraints,
} from './storage/penalties.js';
export type {
  ChosenLayers,
  Regularizes,
  Rules,
  WrittenRule,
  WrittenRules,
} from './storage/penalties.js';
export { checkRows } from './storage/check-rows.js';
export { isRowDecoder, readRows, rowReader } from './storage/row-decoder.js';
export type { RowDecoder } from './storage/row-decoder.js';
export { findRows, offerRows } from './storage/row-source.js';
export type { RowSource, WordStore, WorkStore } from './storage/row-source.js';
export { isWordMatrix, listMatrices, readStorages } from './storage/storable-matrices.js';
export type { StorableMatrix } from './storage/storable-matrices.js';
export { createStorage, FLOAT32, registerStorage } from './storage/storage.js';
export type {
  MatrixShape,
  MatrixStorage,
  ReadWeight,
  StorageConfig,
  StorageFactory,
  StoredWeight,
} from './storage/storage.js';
export { countHostBytes, nameWeights, storeMatrices } from './storage/store-matrices.js';
export type { HostWeight, StoredEdit } from './storage/store-matrices.js';
export { StoredConv2D } from './storage/stored-conv2d.js';
export type { StoredConv2DConfig } from './storage/stored-conv2d.js';
export { StoredDense, StoredEmbedding } from './storage/stored-layers.js';
export type { StoredDenseConfig, StoredEmbeddingConfig } from './storage/stored-layers.js';
export { StoredTiedDense } from './storage/stored-tied-dense.js';
export type { StoredTiedDenseConfig } from './storage/stored-tied-dense.js';
export { addStoredWeight, StoredMatrix } from './storage/stored-matrix.js';
export type { Constrains } from './storage/stored-matrix.js';
