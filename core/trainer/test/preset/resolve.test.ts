import { definePlugin, resolvePreset } from '@espalier/core';
import type { Preset, PresetSource, ResolveOptions } from '@espalier/core';
import { describe, expect, it } from 'vitest';
import { distill, exits, modules, named } from './plugins.js';

const resolve = (preset: PresetSource, options: ResolveOptions = {}) =>
  resolvePreset(preset, { modules, ...options });
const mine: Preset = { name: 'mine', extends: '@x/presets#byot', plugins: {} };

describe('resolvePreset', () => {
  it('gives plugins the ids of the preset and the options that the layers add up to', async () => {
    const { plugins } = await resolve({
      extends: '@x/presets#byot',
      plugins: { distill: { options: { alpha: 0.5 } } },
    });
    expect(plugins.map(({ id, options }) => ({ id, options }))).toEqual([
      { id: 'exits', options: { at: ['a'] } },
      { id: 'distill', options: { temperature: 4, alpha: 0.5 } },
    ]);
  });

  it('lets one factory stand under two ids', async () => {
    const plugins = { one: { use: distill }, two: { use: distill, options: { alpha: 1 } } };
    const resolved = await resolve({ plugins });
    expect(resolved.plugins.map(({ id }) => id)).toEqual(['one', 'two']);
  });

  it('says where every value came from', async () => {
    const { manifest } = await resolve(mine, {
      overrides: { distill: { options: { alpha: 0.2 } } },
    });
    expect(manifest.plugins['distill']).toEqual({
      use: '@x/distill#distill',
      version: '1.2.0',
      apiVersion: 1,
      options: { temperature: 4, alpha: 0.2 },
      effects: { loss: 'add' },
      order: { after: ['exits'], optional: ['exits'] },
      bind: {},
      origins: {
        use: 'preset byot',
        'options.temperature': 'preset byot',
        'options.alpha': 'override',
      },
    });
    expect(manifest.plugins['exits']?.origins['options.at']).toBe('preset supervised');
    expect(manifest).toMatchObject({ portable: true, inline: [] });
  });

  it('hands options to a preset that is a function', async () => {
    const extended = { use: '@x/presets#byot', options: { temperature: 7 } };
    const { plugins } = await resolve({ extends: extended, plugins: {} });
    expect(plugins[1]?.options).toMatchObject({ temperature: 7 });
  });

  it('takes later presets over earlier ones, and the override over all', async () => {
    const low = { plugins: { d: { use: distill, options: { temperature: 1, alpha: 0.1 } } } };
    const high = { plugins: { d: { use: distill, options: { temperature: 2 } } } };
    const overrides = { d: { options: { alpha: 0.9 } } };
    const { plugins } = await resolve({ extends: [low, high], plugins: {} }, { overrides });
    expect(plugins[0]?.options).toEqual({ temperature: 2, alpha: 0.9 });
  });

  it('restores a default by undefined, and inherits nothing under another use', async () => {
    const overrides = { distill: { options: { temperature: undefined } } };
    const { manifest } = await resolve(mine, { overrides });
    expect(manifest.plugins['distill']?.options).toMatchObject({ temperature: 3 });
    expect(manifest.plugins['distill']?.origins['options.temperature']).toBe('default');

    const replaced = await resolve(mine, { overrides: { distill: { use: '@x/exits' } } });
    expect(replaced.plugins[1]).toMatchObject({
      id: 'distill',
      version: '2.0.0',
      options: { at: [] },
    });
  });

  it('removes an inherited plugin by false', async () => {
    const { plugins } = await resolve(mine, { overrides: { distill: false } });
    expect(plugins.map(({ id }) => id)).toEqual(['exits']);
  });

  it('makes components for tokens, of their options, when asked', async () => {
    const bind = { teacher: { use: '@x/distill#teacher', options: { size: 4 } } };
    const { bindings, manifest } = await resolve(mine, { overrides: { distill: { bind } } });
    expect(bindings.map(({ token, make }) => [token, make()])).toEqual([['teacher', { size: 4 }]]);
    expect(manifest.plugins['distill']?.bind).toEqual(bind);
    expect(manifest.plugins['distill']?.origins['bind.teacher']).toBe('override');
  });

  it('takes a list of plugins, whose values all come from code', async () => {
    const list = [distill({ alpha: 1 }), exits()];
    const { plugins, manifest } = await resolvePreset(list);
    expect(plugins).toEqual(list);
    expect(manifest.plugins['distill']).toMatchObject({
      use: 'inline',
      origins: { use: 'code', 'options.alpha': 'code' },
    });
    expect(manifest.inline).toEqual(['plugins.distill.use', 'plugins.exits.use']);
    expect(manifest.portable).toBe(false);
  });

  it('marks what no manifest can name, by field', async () => {
    const weights = { schedule: (step: number) => step, model: new Map() };
    const plugins = { d: { use: '@x/distill#distill', options: { weights } } };
    const { manifest } = await resolve({ plugins });
    expect(manifest.portable).toBe(false);
    expect(manifest.inline).toEqual([
      'plugins.d.options.weights.model',
      'plugins.d.options.weights.schedule',
    ]);
    expect(JSON.parse(JSON.stringify(manifest))).toEqual(manifest);
  });

  it('imports modules by their specifier where no map is given', async () => {
    const loaded: string[] = [];
    const load = async (specifier: string) => {
      loaded.push(specifier);
      return modules[specifier]!;
    };
    await resolvePreset(mine, { load });
    expect([...new Set(loaded)]).toEqual(['@x/presets', '@x/exits', '@x/distill']);
    await expect(resolvePreset('zod#z')).rejects.toMatchObject({ code: 'preset/not-a-preset' });
  });
});

describe('a factory that says where it is exported', () => {
  const given = { use: named, options: { alpha: 0.5 } };
  const written = { use: '@x/named#named', options: { alpha: 0.5 } };
  const byFactory: Preset = { plugins: { named: given } };

  it('makes the manifest that its name makes, where nothing can be imported', async () => {
    const { manifest } = await resolvePreset(byFactory, { modules: {} });
    const byName = await resolve({ plugins: { named: written } });
    expect(manifest).toEqual(byName.manifest);
    expect(manifest).toMatchObject({ portable: true, inline: [] });
    expect(manifest.plugins['named']!.use).toBe('@x/named#named');
  });

  it('is its name in JSON', async () => {
    const read = JSON.parse(JSON.stringify(byFactory)) as Preset;
    expect(read).toEqual({ plugins: { named: written } });
  });

  it('makes the same hash in a list of plugins', async () => {
    const { manifest } = await resolvePreset([named({ alpha: 0.5 })]);
    expect(manifest.hash).toBe((await resolve(byFactory)).manifest.hash);
    expect(manifest.portable).toBe(true);
  });

  it.each([
    ['its name', { plugins: { named: given } }, written.use],
    ['the factory', { plugins: { named: written } }, named],
  ])('inherits options under %s', async (_what, base, use) => {
    const overrides = { named: { use, options: { beta: 2 } } };
    const { plugins } = await resolve(base, { overrides });
    expect(plugins[0]!.options).toEqual({ alpha: 0.5, beta: 2 });
  });

  it('is refused with something else than a name', async () => {
    const wrong = definePlugin({ ...named.definition, exportedAs: 'a#b#c' });
    const failure = resolve({ plugins: { named: { use: wrong } } });
    await expect(failure).rejects.toThrow(/plugin 'named'.*exportedAs.*'<package>#<export>'/);
  });
});

describe('a preset that is wrong', () => {
  const use = '@x/distill#distill';
  const wrong: [string, PresetSource, string, RegExp, ResolveOptions?][] = [
    [
      'a package that is not installed',
      'no-such-pkg/sub#x',
      'preset/not-installed',
      /npm install no-such-pkg$|npm install no-such-pkg /,
      { modules: undefined },
    ],
    [
      'a path that core cannot know',
      './mine.js#x',
      'preset/load',
      /relative path/,
      { modules: undefined },
    ],
    [
      'a module that was not supplied',
      '@x/preset#byot',
      'preset/unknown-module',
      /Did you mean '@x\/presets'/,
    ],
    [
      'an export that is missing',
      '@x/presets#boyt',
      'preset/unknown-export',
      /Did you mean 'byot'/,
    ],
    [
      'something that is no preset',
      '@x/presets#nothing',
      'preset/not-a-preset',
      /neither a preset/,
    ],
    ['a plugin where a preset should be', use, 'preset/not-a-preset', /plugins: \{ id: \{ use/],
    [
      'a plugin made already',
      { plugins: { d: { use: '@x/distill#notAFactory' } } },
      'preset/not-a-factory',
      /uncalled/,
    ],
    [
      'presets that extend each other',
      '@x/presets#circle',
      'preset/cycle',
      /#circle → @x\/presets#round → @x\/presets#circle/,
    ],
    [
      'a removal of what is not there',
      { ...mine, plugins: { distil: false } },
      'preset/unknown-id',
      /preset mine.*remove.*Did you mean 'distill'/,
    ],
    [
      'an override of what is not there',
      mine,
      'preset/unknown-id',
      /override.*change.*Did you mean 'distill'/,
      { overrides: { distil: { options: {} } } },
    ],
    [
      'a typo in an entry',
      { plugins: { d: { use, option: {} } as never } },
      'options/invalid',
      /entry 'd': unknown option 'option'. Did you mean 'options'/,
    ],
    [
      'a typo in the preset',
      { plugins: {}, extend: [] } as never,
      'options/invalid',
      /Did you mean 'extends'/,
    ],
    [
      'a typo in options',
      { plugins: { d: { use, options: { temprature: 1 } } } },
      'options/invalid',
      /plugin 'd'.*Did you mean 'temperature'/,
    ],
    [
      'a token bound twice',
      {
        plugins: {
          a: { use, bind: { t: { use: '@x/distill#teacher' } } },
          b: { use, bind: { t: { use: '@x/distill#teacher' } } },
        },
      },
      'preset/binding',
      /'b': token 't' is already bound/,
    ],
    [
      'a binding to no function',
      { plugins: { a: { use, bind: { t: { use: '@x/distill#notAFactory' } } } } },
      'preset/binding',
      /not bound to a function/,
    ],
    [
      'a number that JSON has not',
      { plugins: { d: { use, options: { alpha: 1n } } } },
      'json/not-json',
      /plugins\.d\.options\.alpha.*1n/,
    ],
  ];

  it.each(wrong)('%s', async (_what, preset, code, message, options) => {
    const failure = resolve(preset, options);
    await expect(failure).rejects.toMatchObject({ name: 'EspalierError', code });
    await expect(failure).rejects.toThrow(message);
  });

  it.each(['__proto__', 'constructor', 'prototype'])('the key %s, at any depth', async (key) => {
    const atTop = JSON.parse(`{ "plugins": { "${key}": { "use": "${use}" } } }`) as Preset;
    const inside = JSON.parse(
      `{ "plugins": { "d": { "use": "${use}", "options": { "weights": [{ "${key}": {} }] } } } }`,
    ) as Preset;
    for (const preset of [atTop, inside]) {
      await expect(resolve(preset)).rejects.toMatchObject({ code: 'json/forbidden-key' });
    }
    expect(Object.hasOwn(Object.prototype, 'use')).toBe(false);
  });

  it('an override of plugins that code has made', async () => {
    const failure = resolvePreset([distill()], { overrides: { distill: { options: {} } } });
    await expect(failure).rejects.toMatchObject({ code: 'preset/overrides' });
  });
});
