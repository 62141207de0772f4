export { sha256Hex } from './hash.js';
export { keyedStream } from './random.js';
export type { Stream } from './random.js';
export * from './source.js';
