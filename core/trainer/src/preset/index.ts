export { loadExport } from './load.js';
export type { LoadFrom } from './load.js';
export { diffManifests, hashManifest } from './manifest.js';
export type { Manifest, ManifestDifference, PluginManifest } from './manifest.js';
export type {
  AnyPluginFactory,
  BindingEntry,
  PluginEntries,
  PluginEntry,
  Preset,
  PresetSource,
} from './preset.js';
export { resolvePreset } from './resolve.js';
export type { ResolvedPreset, ResolveOptions } from './resolve.js';
