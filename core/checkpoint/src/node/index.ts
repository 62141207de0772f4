export { fileStore } from './file-store.js';
export type { FileOperations } from './file-store.js';
