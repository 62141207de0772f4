import './register.js';

export * from './compression-report.js';
export * from './contracts.js';
export { floorCounts } from './floor-counts.js';
export * from './fidelity.js';
export { isRowDecoder, readRows } from './row-decoder.js';
export type { RowDecoder } from './row-decoder.js';
export { isWordMatrix, listMatrices, readStorages } from './storable-matrices.js';
export type { StorableMatrix } from './storable-matrices.js';
export { describeRules, penalizeMatrix, readRules, refuseConstraints } from './penalties.js';
export type { ChosenLayers, Regularizes, Rules, WrittenRule, WrittenRules } from './penalties.js';
export { parseBytes } from './parse-bytes.js';
export * from './storage.js';
export { countHostBytes, storeMatrices } from './store-matrices.js';
export type { HostWeight, StoredEdit } from './store-matrices.js';
export { StoredConv2D, StoredDense, StoredEmbedding } from './stored-layers.js';
export type {
  StoredConv2DConfig,
  StoredDenseConfig,
  StoredEmbeddingConfig,
} from './stored-layers.js';
export { addStoredWeight, StoredMatrix } from './stored-matrix.js';
export type { Constrains } from './stored-matrix.js';
