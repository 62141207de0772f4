import './register.js';

export { sparseBytes } from './bitmap.js';
export { pruneMatrix } from './magnitude.js';
export type { PrunedMatrix } from './magnitude.js';
export type { PruneOptions } from './options.js';
export { prune } from './prune.js';
export type { SparseConfig } from './sparse-storage.js';
