import { isPlain, parseOptions, toJson } from '@espalier/base';
import { z } from 'zod';
import { loadExport } from './load.js';
import type { LoadFrom } from './load.js';
import { presetError } from './preset.js';
import type { PluginEntries, Preset, PresetSource } from './preset.js';

/** The entries that one preset adds over those it extends; `label` is their origin in manifests. */
export interface Layer {
  readonly label: string;
  readonly plugins: PluginEntries;
}

interface Ancestor {
  readonly key: unknown;
  readonly name: string;
}

/** A preset with all that it extends, from the bottom up. */
export async function collectLayers(
  source: PresetSource,
  from: LoadFrom,
  ancestors: readonly Ancestor[] = [],
): Promise<readonly Layer[]> {
  const key = isPlain(source) && 'use' in source ? source.use : source;
  const preset = await findPreset(source, from);
  const name = preset.name ?? (typeof key === 'string' ? key : '');
  const path = [...ancestors, { key, name: name || 'an unnamed preset' }];
  if (ancestors.some((ancestor) => ancestor.key === key)) {
    const loop = path.map((ancestor) => ancestor.name).join(' → ');
    throw presetError('cycle', `presets extend each other: ${loop}`, 'Remove one extends.');
  }
  const layer = { label: `preset ${name}`.trim(), plugins: preset.plugins };
  checkPreset(layer.label, preset);
  const below: Layer[] = [];
  for (const base of [preset.extends ?? []].flat()) {
    below.push(...(await collectLayers(base, from, path)));
  }
  return [...below, layer];
}

async function findPreset(source: PresetSource, from: LoadFrom): Promise<Preset> {
  const reference = typeof source === 'string' ? { use: source } : source;
  if (!('use' in reference)) return reference;
  const found = await loadExport(reference.use, from);
  const made = typeof found === 'function' ? (found(reference.options) as unknown) : found;
  if (isPlain(made) && isPlain(made['plugins'])) return made as unknown as Preset;
  throw presetError(
    'not-a-preset',
    `'${reference.use}' is neither a preset nor a function that returns one`,
    `A plugin goes under plugins: { id: { use: '${reference.use}' } }.`,
  );
}

const component = {
  use: z.custom(
    (value) => typeof value === 'function' || (typeof value === 'string' && value !== ''),
    "must be '@scope/pkg#export' or a factory",
  ),
  options: z.record(z.string(), z.unknown()).optional(),
};
const entryShape = z.strictObject({
  ...component,
  use: component.use.optional(),
  bind: z.record(z.string(), z.strictObject(component)).optional(),
});
const presetShape = z.strictObject({
  name: z.string().optional(),
  extends: z.unknown().optional(),
  plugins: z.record(z.string(), z.unknown()),
});

/** Refuses what cannot be a preset, naming the field. */
export function checkPreset(label: string, preset: unknown): void {
  const { plugins } = parseOptions(label, presetShape, preset);
  for (const [id, entry] of Object.entries((preset as Preset).plugins)) {
    if (entry !== false) parseOptions(`${label}, entry '${id}'`, entryShape, entry);
  }
  toJson(plugins, `${label}: plugins`, () => undefined);
}
