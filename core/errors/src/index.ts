export * from './error.js';
export { fileError } from './file-error.js';
export { parseOptions } from './options.js';
export { twoCopies } from './two-copies.js';
