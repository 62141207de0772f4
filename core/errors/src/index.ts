export * from './error.js';
export { parseOptions } from './options.js';
