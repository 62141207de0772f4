export * from './array-source.js';
export { sha256Hex } from './hash.js';
export * from './iterable-source.js';
export { keyedStream } from './random.js';
export type { Stream } from './random.js';
export * from './source.js';
