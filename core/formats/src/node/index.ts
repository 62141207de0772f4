export { loadArtifact, saveArtifact } from './artifact-folder.js';
export type { FileTensor, MatrixFile, MatrixFormat, OnProgress } from './files/matrix-file.js';
export { readMatrices } from './matrices.js';
export { readModelFolder, writeModelFolder } from './model-folder.js';
export { openMatrices } from './open-matrices.js';
export type { OpenMatricesOptions } from './open-matrices.js';
