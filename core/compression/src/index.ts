export * from './account.js';
export * from './contracts.js';
export * from './storage.js';
export { addStoredWeight, StoredMatrix } from './stored-matrix.js';
