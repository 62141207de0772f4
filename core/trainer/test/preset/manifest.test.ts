import { canonicalJson, diffManifests, hashManifest, resolvePreset } from '@espalier/core';
import type { PluginEntries } from '@espalier/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { modules } from './plugins.js';

/** The same data with its keys in another order, at every depth. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).reverse();
  return Object.fromEntries(entries.map(([key, inner]) => [key, reversed(inner)]));
}

const key = fc.string().filter((k) => !['__proto__', 'constructor', 'prototype'].includes(k));
const json = fc.letrec((again) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.string(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(again('value'), { maxLength: 4 }),
    fc.dictionary(key, again('value'), { maxKeys: 4 }),
  ),
})).value;

const options = fc.record(
  {
    temperature: fc.double({ noNaN: true, noDefaultInfinity: true }),
    alpha: fc.double({ noNaN: true, noDefaultInfinity: true }),
    weights: json,
  },
  { requiredKeys: [] },
);
const entry = options.map((o) => ({ use: '@x/distill#distill', options: o }));
const entries = fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), entry, { maxKeys: 3 });
const resolve = (plugins: PluginEntries, overrides?: PluginEntries) =>
  resolvePreset({ plugins }, { modules, overrides });

describe('canonicalJson', () => {
  it('does not depend on the order of keys, and loses nothing', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalJson(reversed(value))).toBe(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('leaves out undefined properties and refuses what JSON has not, by path', () => {
    expect(canonicalJson({ b: undefined, a: [null, -0] })).toBe('{"a":[null,0]}');
    expect(() => canonicalJson({ a: [{ b: () => 1 }] })).toThrow("'value.a.0.b'");
    for (const value of [undefined, 1n, new Map(), [undefined]]) {
      expect(() => canonicalJson({ a: [value] })).toThrow('json/not-json');
    }
  });
});

describe('manifests', () => {
  it('have a hash that does not depend on how the preset is written', async () => {
    await fc.assert(
      fc.asyncProperty(entries, async (plugins) => {
        const { manifest } = await resolve(plugins);
        const turned = await resolve(reversed(plugins) as PluginEntries);
        expect(turned.manifest.hash).toBe(manifest.hash);
        expect(await hashManifest(reversed(manifest) as typeof manifest)).toBe(manifest.hash);
        expect(manifest.hash).toMatch(/^[0-9a-f]{64}$/);
      }),
    );
  });

  it('resolve to themselves: their own entries give the same manifest content', async () => {
    await fc.assert(
      fc.asyncProperty(entries, async (plugins) => {
        const { manifest } = await resolve(plugins);
        const own = Object.entries(manifest.plugins).map(([id, { use, options: given }]) => [
          id,
          { use, options: given },
        ]);
        const again = await resolve(Object.fromEntries(own) as PluginEntries);
        expect(again.manifest.hash).toBe(manifest.hash);
        expect(diffManifests(manifest, again.manifest)).toEqual([]);
      }),
    );
  });

  it('take an option from the override, else the preset, else the default', async () => {
    await fc.assert(
      fc.asyncProperty(options, options, async (low, high) => {
        const base = { d: { use: '@x/distill#distill', options: low } };
        const { manifest } = await resolve(base, { d: { options: high } });
        const { options: resolved, origins } = manifest.plugins['d']!;
        for (const [name, fallback] of [
          ['temperature', 3],
          ['alpha', 0.3],
        ] as const) {
          const expected = high[name] ?? low[name] ?? fallback;
          const origin = name in high ? 'override' : name in low ? 'preset' : 'default';
          expect((resolved as Record<string, unknown>)[name]).toBe(expected);
          expect(origins[`options.${name}`]).toBe(origin);
        }
      }),
    );
  });

  it('differ exactly where their hashes differ', async () => {
    await fc.assert(
      fc.asyncProperty(entries, entries, async (a, b) => {
        const [was, is] = [(await resolve(a)).manifest, (await resolve(b)).manifest];
        expect(diffManifests(was, is).length === 0).toBe(was.hash === is.hash);
      }),
    );
  });

  it('are compared in words', async () => {
    const base = { d: { use: '@x/distill#distill' }, e: { use: '@x/exits' } };
    const { manifest: was } = await resolve(base);
    const changes = {
      d: { options: { alpha: 1 }, bind: { t: { use: '@x/distill#teacher' } } },
      e: false,
    } as const;
    const { manifest: is } = await resolve(base, changes);
    expect(diffManifests(was, is).map(({ text }) => text)).toEqual([
      `plugin 'd': options.alpha was 0.3 (default), is 1 (override)`,
      `plugin 'd': bind.t was absent, is {"use":"@x/distill#teacher"} (override)`,
      `plugin 'e' was removed`,
    ]);
  });
});
