export { loadArtifact, saveArtifact } from './artifact-folder.js';
export { readMatrices } from './matrices.js';
export { readModelFolder, writeModelFolder } from './model-folder.js';
