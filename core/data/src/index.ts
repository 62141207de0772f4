export * from './array-source.js';
export * from './iterable-source.js';
export * from './source.js';
