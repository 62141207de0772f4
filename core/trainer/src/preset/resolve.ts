import { checkPlugins } from '../plugins/plugin.js';
import type { Plugin } from '../plugins/plugin.js';
import { checkPreset, collectLayers } from './layers.js';
import { loadExport } from './load.js';
import type { LoadFrom } from './load.js';
import { makeManifest } from './manifest.js';
import type { Manifest } from './manifest.js';
import { mergeLayers } from './merge.js';
import type { MergedEntry } from './merge.js';
import { presetError } from './preset.js';
import type { AnyPluginFactory, PluginEntries, PresetSource } from './preset.js';

/** How to resolve a preset. */
export interface ResolveOptions extends LoadFrom {
  /** Laid over the preset, as by one that extends it. */
  readonly overrides?: PluginEntries;
}

/** What a run is built from. */
export interface ResolvedPreset {
  /** Their ids are the keys of the preset. */
  readonly plugins: readonly Plugin[];
  /** Components for tokens, made when first asked for. */
  readonly bindings: readonly { readonly token: string; readonly make: () => unknown }[];
  readonly manifest: Manifest;
}

/**
 * Turns a preset, or a list of plugins made in code, into plugins, bindings and a manifest.
 *
 * @throws EspalierError `preset/…` for what the preset gets wrong, `options/invalid` from factories.
 * @example
 * const { plugins, manifest } = await resolvePreset('@espalier/preset-baselines#byot', {
 *   overrides: { 'multi-exit': { options: { detach: true } } },
 * });
 */
export async function resolvePreset(
  preset: PresetSource | readonly Plugin[],
  { overrides = {}, ...from }: ResolveOptions = {},
): Promise<ResolvedPreset> {
  checkPreset('override', { plugins: overrides });
  const list = Array.isArray(preset) ? (preset as readonly Plugin[]) : undefined;
  if (list && Object.keys(overrides).length > 0) {
    const fix = 'Give the options to the factories, or use a preset.';
    throw presetError('overrides', 'overrides cannot change plugins that code has made', fix);
  }
  const layers = list ? [] : await collectLayers(preset as PresetSource, from);
  const entries = mergeLayers([...layers, { label: 'override', plugins: overrides }]);
  const plugins = list ?? (await makePlugins(entries, from));
  checkPlugins(plugins);
  const bindings = await makeBindings(entries, from);
  return { plugins, bindings, manifest: await makeManifest(plugins, entries) };
}

type Entries = ReadonlyMap<string, MergedEntry>;

async function makePlugins(entries: Entries, from: LoadFrom): Promise<readonly Plugin[]> {
  const plugins: Plugin[] = [];
  for (const [id, { use, options }] of entries) {
    const factory = (await loadExport(use, from)) as AnyPluginFactory | undefined;
    if (typeof factory !== 'function' || typeof factory.definition?.id !== 'string') {
      const problem = `entry '${id}': ${typeof use === 'string' ? `'${use}'` : "'use'"} is not a plugin factory`;
      throw presetError('not-a-factory', problem, 'Name what definePlugin returns, uncalled.');
    }
    plugins.push(factory(options as never, { id }));
  }
  return plugins;
}

async function makeBindings(entries: Entries, from: LoadFrom): Promise<ResolvedPreset['bindings']> {
  const bindings = new Map<string, { token: string; make: () => unknown }>();
  for (const [id, { bind }] of entries) {
    for (const [token, { use, options }] of Object.entries(bind)) {
      const component = await loadExport(use, from);
      if (bindings.has(token) || typeof component !== 'function') {
        const problem = bindings.has(token) ? 'is already bound' : 'is not bound to a function';
        const fix =
          'Bind each token once, to a function that makes the component: { use: () => component }.';
        throw presetError('binding', `entry '${id}': token '${token}' ${problem}`, fix);
      }
      bindings.set(token, { token, make: () => component(options) as unknown });
    }
  }
  return [...bindings.values()];
}
