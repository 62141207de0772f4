export { fileStore } from './file-store.js';
export type { FileStore } from './file-store.js';
export { removeLeftovers, writeWhole } from './write-whole.js';
export type { FileOperations } from './write-whole.js';
