import { resolvePreset } from '@espalier/core';
import type { Manifest, Preset, PresetSource } from '@espalier/core';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundle, runBundle } from './bundle.js';
import { hasSources, publicWorkspaces } from './workspaces.mjs';

const packages = publicWorkspaces()
  .filter(hasSources)
  .map(({ manifest }) => manifest.name);
const presetPackages = packages.filter((name) => /\/preset-/.test(name));
const pluginPackages = packages.filter((name) => /\/plugin-/.test(name));
type Exports = Readonly<Record<string, unknown>>;
type Options = Readonly<Record<string, unknown>>;
const load = async (name: string) => (await import(name)) as Exports;

/** Exports of preset packages that make no preset. */
const OTHERS = ['compressMatrix', 'expandMatrix', 'outerWeights'];

/** What presets cannot be made without. */
const OPTIONS: Readonly<Record<string, Options>> = { psKd: { epochs: 2 } };

test('there are presets and plugins to check', () => {
  expect(presetPackages).toHaveLength(3);
  expect(pluginPackages.length).toBeGreaterThanOrEqual(9);
});

describe.each(pluginPackages)('%s', (name) => {
  test('each factory says by which name it is exported', async () => {
    const exported = Object.entries(await load(name)) as [string, { definition?: Exports }][];
    const factories = exported.filter(([, { definition }]) => definition);
    expect(factories).not.toEqual([]);
    for (const [key, { definition }] of factories) {
      expect(definition!['exportedAs']).toBe(`${name}#${key}`);
    }
  });
});

describe('in a bundled page, which can import nothing by name', () => {
  type Page = (preset: PresetSource) => Promise<{ readonly manifest: Manifest }>;
  let page: { readonly resolvePreset: Page } & Exports;

  beforeAll(async () => {
    const all = presetPackages.map((name) => `export * from '${name}';`);
    const script = `export { resolvePreset } from '@espalier/core';\n${all.join('\n')}`;
    page = runBundle(await bundle(script, { conditions: ['@espalier/source'] })) as typeof page;
  });

  test.each(presetPackages)('%s finds its plugins, and says their names', async (name) => {
    const presets = Object.entries(await load(name)).filter(([key]) => !OTHERS.includes(key));
    expect(presets).not.toEqual([]);
    for (const [key, make] of presets) {
      const options = OPTIONS[key];
      const bundled = page[key] as typeof preset;
      const preset = make as (options?: Options) => Preset;
      const { manifest } = await page.resolvePreset(bundled(options));
      expect(manifest.portable).toBe(true);
      expect(manifest.hash).toBe((await resolvePreset(preset(options))).manifest.hash);
      const named = { use: `${name}#${key}`, options };
      expect(manifest.hash).toBe((await resolvePreset(named)).manifest.hash);
    }
  });
});
