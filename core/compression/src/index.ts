import './register.js';

export * from './account.js';
export * from './contracts.js';
export { flooredCounts } from './floored-counts.js';
export * from './fidelity.js';
export { holdsRows, rowsOf } from './holds-rows.js';
export type { HoldsRows } from './holds-rows.js';
export { isWordMatrix, matrixPlaces, storagesOf } from './matrix-places.js';
export type { MatrixPlace } from './matrix-places.js';
export { describeRules, penalizeMatrix, readRules, refuseConstraints } from './penalties.js';
export type { ChosenLayers, Regularizes, Rules, WrittenRule, WrittenRules } from './penalties.js';
export { parseBytes } from './parse-bytes.js';
export * from './storage.js';
export { hostBytes, storeMatrices } from './store-matrices.js';
export type { HostWeight, NewlyStored } from './store-matrices.js';
export { StoredConv2D, StoredDense, StoredEmbedding } from './stored-layers.js';
export type {
  StoredConv2DConfig,
  StoredDenseConfig,
  StoredEmbeddingConfig,
} from './stored-layers.js';
export { addStoredWeight, StoredMatrix } from './stored-matrix.js';
export type { Constrains } from './stored-matrix.js';
