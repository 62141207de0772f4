export { canonicalJson, printValue, readJson, writeJson } from '@espalier/base';
export { diffManifests, hashManifest } from './manifest.js';
export type { Manifest, ManifestDifference, PluginManifest } from './manifest.js';
export type * from './preset.js';
export { loadExport } from './load.js';
export type { LoadFrom } from './load.js';
export { resolvePreset } from './resolve.js';
export type { ResolvedPreset, ResolveOptions } from './resolve.js';
