export { arraySource } from './array-source.js';
export type { ArraySourceOptions } from './array-source.js';
export type { HostArray } from './columns.js';
export { datasetSource, iterableSource } from './iterable-source.js';
export type { DatasetLike, IterableSourceOptions } from './iterable-source.js';
export { disposeRaw } from './source.js';
export type { IterateOptions, RawBatch, Source } from './source.js';
