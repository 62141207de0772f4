export { loadArtifact, saveArtifact } from './folder.js';
