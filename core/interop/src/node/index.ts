export { readMatrices } from './matrices.js';
export { readModelFolder, writeModelFolder } from './model-folder.js';
