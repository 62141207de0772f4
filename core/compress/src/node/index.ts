export { compressFile } from './compress-file.js';
export type { CompressFileOptions, CompressedFile, UnchangedTensor } from './compress-file.js';
export { decompressFile } from './decompress-file.js';
export type { DecompressedFile, DecompressFileOptions } from './decompress-file.js';
export { checkOutputFolder } from './output-folder.js';
export { readCounts } from './read-counts.js';
export type { WordCounts } from './read-counts.js';
export { readInput } from './read-input.js';
export type { CompressInput } from './read-input.js';
