import { canonicalJson, isPlain, printValue, sha256Hex, toJson } from '@espalier/base';
import type { Plugin } from '../plugins/plugin.js';
import type { MergedEntry } from './merge.js';
import { nameUse } from './preset.js';

/** What one plugin of a run is, as plain JSON. */
export interface PluginManifest extends Pick<
  Plugin,
  'version' | 'apiVersion' | 'effects' | 'order'
> {
  /** Where its factory is from; `inline` where code handed over one that does not say. */
  readonly use: string;
  /** All options, defaults filled in. */
  readonly options: unknown;
  /** Components bound to tokens. */
  readonly bind: Readonly<Record<string, unknown>>;
  /** `use`, `options.<key>`, `bind.<token>` → `preset <name>`, `override`, `default` or `code`. */
  readonly origins: Readonly<Record<string, string>>;
}

/** A resolved preset as plain JSON: it goes into every checkpoint. */
export interface Manifest {
  readonly plugins: Readonly<Record<string, PluginManifest>>;
  /** Fields that hold a function or an object of a class, which no manifest can name. */
  readonly inline: readonly string[];
  /** Whether it says all that the plugins are made of: nothing is inline. */
  readonly portable: boolean;
  /** See {@link hashManifest}. */
  readonly hash: string;
}

/** Describes plugins; those without an entry come from code. */
export async function makeManifest(
  plugins: readonly Plugin[],
  entries: ReadonlyMap<string, MergedEntry>,
): Promise<Manifest> {
  const inline: string[] = [];
  const described = plugins.map((plugin) => [plugin.id, describe(plugin, entries.get(plugin.id))]);
  const json = toJson(Object.fromEntries(described), 'plugins', (path) => inline.push(path));
  const content = { plugins: json as Manifest['plugins'], inline };
  return { ...content, portable: inline.length === 0, hash: await hashManifest(content) };
}

function describe(plugin: Plugin, entry: MergedEntry | undefined) {
  const { version, apiVersion, options, effects, order } = plugin;
  const use = entry ? nameUse(entry.use) : (plugin.exportedAs ?? plugin.apply);
  const { bind = {} } = entry ?? {};
  const origins: Record<string, string> = { use: 'code', ...entry?.origins };
  for (const key of isPlain(options) ? Object.keys(options) : []) {
    if (!entry) origins[`options.${key}`] = 'code';
    else if (entry.options[key] === undefined) origins[`options.${key}`] = 'default';
  }
  return { use, version, apiVersion, options, effects, order, bind, origins };
}

/**
 * SHA-256 of what a manifest describes, as hex: independent of the order of keys and of where the
 * values came from. Functions count as `'inline'`.
 */
export function hashManifest({ plugins, inline }: Pick<Manifest, 'plugins' | 'inline'>) {
  const entries = Object.entries(plugins).map(([id, plugin]) => [id, { ...plugin, origins: {} }]);
  const json = canonicalJson({ plugins: Object.fromEntries(entries), inline: [...inline].sort() });
  return sha256Hex(new TextEncoder().encode(json));
}

/** One difference between two manifests. */
export interface ManifestDifference {
  readonly plugin: string;
  readonly text: string;
}

/**
 * Readable differences, field by field; none when both describe the same plugins.
 *
 * @example
 * diffManifests(saved, now)[0]?.text; // "plugin 'kd': options.alpha was 1 (default), is 2 (override)"
 */
export function diffManifests(was: Manifest, is: Manifest): readonly ManifestDifference[] {
  const ids = [...new Set([...Object.keys(was.plugins), ...Object.keys(is.plugins)])].sort();
  return ids.flatMap((plugin) => {
    const [a, b] = [was.plugins[plugin], is.plugins[plugin]];
    if (!a || !b) return [{ plugin, text: `plugin '${plugin}' was ${a ? 'removed' : 'added'}` }];
    const [before, after] = [listFields(a), listFields(b)];
    const changed = Object.keys({ ...before, ...after }).filter((f) => before[f] !== after[f]);
    const said = (json = 'absent', origin = '') => (origin ? `${json} (${origin})` : json);
    return changed.map((f) => ({
      plugin,
      text: `plugin '${plugin}': ${f} was ${said(before[f], a.origins[f])}, is ${said(after[f], b.origins[f])}`,
    }));
  });
}

/** Field → its value in words; options and bindings one by one. */
function listFields({
  origins: _,
  options,
  bind,
  ...rest
}: PluginManifest): Record<string, string> {
  const spread = (name: string, value: unknown): [string, unknown][] =>
    isPlain(value)
      ? Object.entries(value).map(([key, inner]) => [`${name}.${key}`, inner])
      : [[name, value ?? null]];
  const fields = [...Object.entries(rest), ...spread('options', options), ...spread('bind', bind)];
  return Object.fromEntries(fields.map(([name, value]) => [name, printValue(value)]));
}
