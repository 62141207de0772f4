import { suggest } from '@espalier/base';
import type { Layer } from './layers.js';
import { nameUse, presetError } from './preset.js';
import type { PluginEntry } from './preset.js';

/** An entry after all layers; origins: `use`, `options.<key>`, `bind.<token>` → label of a layer. */
export interface MergedEntry extends Required<PluginEntry> {
  readonly origins: Readonly<Record<string, string>>;
}

/** Lays presets over each other, the last one on top. */
export function mergeLayers(layers: readonly Layer[]): ReadonlyMap<string, MergedEntry> {
  const merged = new Map<string, MergedEntry>();
  for (const { label, plugins } of layers) {
    for (const [id, entry] of Object.entries(plugins)) {
      const base = merged.get(id);
      const use = (entry && entry.use) || base?.use;
      if (use === undefined) {
        const problem = `${label}: there is no inherited '${id}' to ${entry ? 'change' : 'remove'}`;
        const fix = `${suggest(id, [...merged.keys()])} A new entry needs use: '@scope/pkg#export'.`;
        throw presetError('unknown-id', problem, fix);
      }
      const inherits = base && nameUse(base.use) === nameUse(use);
      if (entry) merged.set(id, mergeEntry(label, entry, use, inherits ? base : undefined));
      else merged.delete(id);
    }
  }
  return merged;
}

function mergeEntry(
  label: string,
  entry: PluginEntry,
  use: MergedEntry['use'],
  base: MergedEntry | undefined,
): MergedEntry {
  const labelKeys = (field: string, values: object | undefined) =>
    Object.fromEntries(Object.keys(values ?? {}).map((key) => [`${field}.${key}`, label]));
  return {
    use,
    options: { ...base?.options, ...entry.options },
    bind: { ...base?.bind, ...entry.bind },
    origins: {
      ...base?.origins,
      ...(entry.use !== undefined && { use: label }),
      ...labelKeys('options', entry.options),
      ...labelKeys('bind', entry.bind),
    },
  };
}
