export { artifactBytes } from './bytes.js';
export type { ArtifactBytes, StoredBytes } from './bytes.js';
export type { ArtifactManifest, ArtifactPlugin, WeightsEntry } from './manifest.js';
export { packArtifact } from './pack.js';
export type { ArtifactContent } from './pack.js';
export { unpackArtifact } from './unpack.js';
export type { LoadedArtifact } from './unpack.js';
