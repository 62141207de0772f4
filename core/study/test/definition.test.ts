import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { definePlugin } from '@espalier/core';
import { loadStudy } from '@espalier/study';
import type { Study } from '@espalier/study';
import { describe, expect, test } from 'vitest';
import { scaler } from './fixtures/parts.js';
import { base, planOf, rowsOf, study, temporary } from './studies.js';

describe('a study', () => {
  test('counts seeds from 1, has the primary metric first, and knows which way a loss gets better', async () => {
    const { seeds, metrics, name } = await study({
      seeds: 3,
      primary: 'loss',
      metrics: ['accuracy', 'loss', { name: 'size', direction: 'min' }],
    });
    expect(name).toBe('study');
    expect(seeds).toEqual([1, 2, 3]);
    expect(metrics).toEqual([
      { name: 'loss', direction: 'min' },
      { name: 'accuracy', direction: 'max' },
      { name: 'size', direction: 'min' },
    ]);
  });

  test('is read from a file, paths relative to it', async () => {
    const dir = temporary();
    writeFileSync(join(dir, 'base.json'), JSON.stringify(base()));
    const file = join(dir, 'mine.ts');
    writeFileSync(file, "export default { base: './base.json', seeds: [7], primary: 'accuracy' };");
    const loaded = await loadStudy(file);
    expect(loaded).toMatchObject({ name: 'mine', seeds: [7], dir: join(dir, 'runs/mine') });
    expect(loaded.base.file).toBe(join(dir, 'base.json'));
  });

  test.each<[string, object, RegExp]>([
    ['zero seeds', { seeds: 0 }, /seeds/],
    ['no seeds', { seeds: [] }, /seeds/],
    ['one seed twice', { seeds: [1, 1] }, /twice/],
    ['a billion seeds', { seeds: 1e9 }, /seeds.*10000/],
    [
      'a seed after which none can be counted',
      { seeds: [2 ** 53 - 1] },
      /seeds\.0.*4503599627370496/,
    ],
    [
      'a time that no timer can wait',
      { limits: { seconds: 2 ** 31 / 1000 } },
      /limits\.seconds.*2147483/,
    ],
    ['a name that is a path', { name: '../other' }, /no slash/],
    ['a name with an escape', { name: 'a\u001b[2J' }, /no control character/],
    ['a misspelt field', { factor: {} }, /did you mean 'factors'/i],
    ['no primary metric', { primary: undefined }, /primary/],
    [
      'two lengths of tuning',
      { tune: { trials: 1, epochs: 1, share: 0.5, space: { x: { choices: [1, 2] } } } },
      /epochs and share/,
    ],
    [
      'a sample that is not of training data',
      { resample: 'data.validation.options.draw' },
      /resample/,
    ],
    [
      'a metric of training as the primary',
      { primary: 'train/loss' },
      /'train\/loss' is a metric of training/,
    ],
    ['an empty range', { tune: { trials: 1, space: {} } }, /space/],
    ['a range upside down', { tune: { trials: 1, space: { x: { low: 2, high: 1 } } } }, /low/],
    [
      'a log range from 0',
      { tune: { trials: 1, space: { x: { low: 0, high: 1, scale: 'log' } } } },
      /above 0/,
    ],
    ['a factor that changes nothing', { factors: { a: {} } }, /changes nothing/],
    ['a value that is not there', { factors: { a: { set: { epochs: undefined } } } }, /no value/],
    ['a misspelt change', { factors: { a: { drop: 'noise', sett: { epochs: 1 } } } }, /'set'/],
  ])('refuses %s', async (_what, fields, message) => {
    await expect(study(fields)).rejects.toThrow(message);
  });

  test.each<[string, object, string, RegExp]>([
    [
      'no validation split',
      base({ data: { train: './parts.ts#data' } }),
      'study/no-validation',
      /data\.validation/,
    ],
    [
      'no training split',
      base({ data: { validation: './parts.ts#data' } }),
      'study/no-validation',
      /data\.train/,
    ],
    ['no epochs', base({ epochs: undefined }), 'study/epochs', /epochs: 10/],
    [
      'a function',
      base({ model: () => undefined }),
      'study/inline',
      /'base\.model' holds code.*base\.model: '\.\/parts\.ts#make'/s,
    ],
    [
      'an object of a class',
      base({ plugins: { a: { use: new Map() } } }),
      'study/inline',
      /'base\.plugins\.a\.use'/,
    ],
    [
      'a number that JSON lacks',
      base({ optimizer: { use: 'sgd', options: { learningRate: 1n } } }),
      'study/inline',
      /learningRate' holds 1/,
    ],
  ])('refuses a base with %s, and says what to do', async (_what, wrong, code, message) => {
    await expect(study({ base: wrong as never })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  test('takes factories that say where they are exported, as their names', async () => {
    const exported = definePlugin({ ...scaler.definition, exportedAs: './parts.ts#scaler' });
    const withPlugin = (use: unknown) => base({ plugins: { scaler: { use } } });
    const [row] = await rowsOf({ base: withPlugin(exported) });
    const [named] = await rowsOf({ base: withPlugin('./parts.ts#scaler') });
    expect(row!.hash).toBe(named!.hash);
    await expect(study({ base: withPlugin(scaler) })).rejects.toThrow(/plugins\.scaler\.use/);
  });

  test('refuses a function in the file of its base', async () => {
    const dir = temporary();
    writeFileSync(join(dir, 'base.ts'), 'export default { model: () => 0, epochs: 1 };');
    await expect(study({ base: './base.ts' }, dir)).rejects.toMatchObject({
      code: 'study/inline',
      message: expect.stringContaining("base.ts: 'model' holds code") as string,
    });
  });

  test.each<[string, Study['factors']]>([
    ['an option', { a: { set: { epochs: 3 } }, b: { set: { epochs: 4 } } }],
    ['a plugin', { a: { drop: 'noise' }, b: { set: { 'plugins.noise.options.size': 1 } } }],
    [
      'a field around it',
      { a: { set: { 'optimizer.options.momentum': 0.9 } }, b: { set: { optimizer: 'adam' } } },
    ],
    [
      'a preset',
      {
        a: { preset: './parts.ts#both' },
        b: { x: { preset: './parts.ts#both' }, y: { drop: 'noise' } },
      },
    ],
  ])('refuses two factors that both change %s', async (_what, factors) => {
    await expect(study({ factors })).rejects.toMatchObject({
      code: 'study/shared',
      message: expect.stringMatching(/'a' and 'b' both change/) as string,
    });
  });
});

describe('rows', () => {
  const factors: Study['factors'] = {
    noise: { drop: 'noise' },
    width: {
      narrow: { set: { 'model.options.units': 4 } },
      wide: { set: { 'model.options.units': 16 } },
    },
  };
  const names = async (design: Study['design']) =>
    (await rowsOf({ factors, design })).map(({ name }) => name);

  test('one at a time: the base, then each level', async () => {
    expect(await names('one-at-a-time')).toEqual(['base', 'noise', 'narrow', 'wide']);
  });

  test('a grid: every combination once', async () => {
    const all = await names('grid');
    expect(all).toHaveLength(2 * 3);
    expect(new Set(all)).toEqual(
      new Set(['base', 'noise', 'narrow', 'wide', 'noise + narrow', 'noise + wide']),
    );
  });

  test('explicit: by name, with the levels that they take', async () => {
    const [first, second, third] = await rowsOf({
      factors,
      design: { small: { noise: true, width: 'narrow' }, big: { width: 'wide' } },
    });
    expect([first!.name, second!.name, third!.name]).toEqual(['base', 'small', 'big']);
    expect(second!.diff).toEqual(['model.options.units was 8, is 4', "plugin 'noise' was removed"]);
    expect(third!.config.settings.model.options).toEqual({ units: 16 });
  });

  test('levels of one name are told apart by their factor', async () => {
    const rows = await rowsOf({
      factors: {
        size: { off: { set: { 'plugins.noise.options.size': 0 } } },
        scale: { off: { set: { 'plugins.scaler.options.by': 0 } } },
      },
    });
    expect(rows.map(({ name }) => name)).toEqual(['base', 'size: off', 'scale: off']);
  });

  test.each<[string, Partial<Study>, string, RegExp]>([
    [
      'a factor that is not there',
      { factors, design: { a: { widht: 'wide' } } },
      'study/design',
      /no factor 'widht'.*did you mean 'width'/is,
    ],
    [
      'a level that is not there',
      { factors, design: { a: { width: 'wid' } } },
      'study/design',
      /no level 'wid'.*did you mean 'wide'/is,
    ],
    [
      'true of several levels',
      { factors, design: { a: { width: true } } },
      'study/design',
      /narrow, wide/,
    ],
    [
      'the name of the base',
      { factors, design: { base: { noise: true } } },
      'study/design',
      /another name/,
    ],
    [
      'a level that is called as the base',
      { factors: { base: { drop: 'noise' } } },
      'study/design',
      /another name/,
    ],
    [
      'twice the same run',
      { factors, design: { a: { noise: true }, b: { noise: true } } },
      'study/duplicate',
      /'b' and 'a' are the same run/,
    ],
    [
      'the base again',
      { factors: { same: { set: { 'model.options.units': 8 } } } },
      'study/duplicate',
      /'same' and 'base'/,
    ],
    [
      'an unknown plugin to drop',
      { factors: { x: { drop: 'nois' } } },
      'preset/unknown-id',
      /row 'x'.*'noise'/is,
    ],
    [
      'an unknown plugin or token to swap',
      { factors: { x: { swap: { scal: './parts.ts#half' } } } },
      'study/unknown',
      /row 'x'.*no plugin or token 'scal'.*'scale'/is,
    ],
    [
      'an unknown plugin to set',
      { factors: { x: { set: { 'plugins.nose.options.size': 1 } } } },
      'preset/unknown-id',
      /'noise'/,
    ],
    [
      'an unknown option of a plugin',
      { factors: { x: { set: { 'plugins.noise.options.sise': 1 } } } },
      'options/invalid',
      /plugin 'noise'.*'size'/is,
    ],
    [
      'an unknown option of the optimizer',
      { factors: { x: { set: { 'optimizer.options.learningrate': 1 } } } },
      'options/invalid',
      /row 'x'.*'learningRate'/is,
    ],
    [
      'an unknown optimizer',
      { factors: { x: { set: { optimizer: 'adan' } } } },
      'config/unknown-name',
      /row 'x'.*'adam'/is,
    ],
    [
      'an unknown field',
      { factors: { x: { set: { epoch: 3 } } } },
      'options/invalid',
      /row 'x'.*'epochs'/is,
    ],
    [
      'an export that is not there',
      { factors: { x: { swap: { noise: './parts.ts#nois' } } } },
      'preset/unknown-export',
      /row 'x'.*'noise'/is,
    ],
    ['a seed', { factors: { x: { set: { seed: 3 } } } }, 'study/reserved', /seeds: 10/],
    [
      'a backend',
      { factors: { x: { set: { 'backend.prefer': ['wasm'] } } } },
      'study/reserved',
      /one backend/,
    ],
    [
      'a checkpoint folder',
      { factors: { x: { set: { 'checkpoint.dir': 'a' } } } },
      'study/reserved',
      /itself/,
    ],
    [
      'other test data',
      { factors: { x: { set: { data: base()['data'] } } } },
      'study/reserved',
      /same data/,
    ],
    [
      'a preset that holds code',
      { factors: { x: { preset: './parts.ts#unnamed' } } },
      'study/inline',
      /plugins\.scaler\.use is code/,
    ],
  ])('refuses %s', async (_what, fields, code, message) => {
    await expect(rowsOf(fields)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  test('swap a component by its token, at the plugin that provides it', async () => {
    const rows = await rowsOf({
      factors: {
        half: { swap: { scale: './parts.ts#half' } },
        other: { swap: { scaler: './parts.ts#noise' } },
      },
    });
    expect(rows[1]!.manifest.plugins['scaler']!.bind).toEqual({
      scale: { use: './parts.ts#half' },
    });
    expect(rows[2]!.manifest.plugins['scaler']!.use).toBe('./parts.ts#noise');
  });

  test('a grid that nobody can run', async () => {
    const factors = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`f${i}`, { set: { [`model.options.x${i}`]: 1 } }]),
    );
    await expect(rowsOf({ factors, design: 'grid' })).rejects.toMatchObject({
      code: 'study/design',
      message: expect.stringMatching(/1099511627776 rows/) as string,
    });
  });

  const nest = (levels: number) =>
    JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) as unknown;
  const cycle: Record<string, unknown> = {};
  cycle['self'] = [cycle];
  test.each<[string, Partial<Study>]>([
    ['a factor', { factors: { x: { set: { 'model.options.units': nest(100_000) } } } }],
    ['the base', { base: base({ model: { use: './parts.ts#model', options: nest(100_000) } }) }],
    ['an unknown field', { more: nest(300) } as never],
    ['a cycle', { factors: { x: { set: { model: cycle } } } }],
  ])('refuses %s that is too deep', async (_what, fields) => {
    await expect(study(fields)).rejects.toMatchObject({ code: 'study/too-deep' });
  });

  test('plan: what is wrong with the base is found before anything runs', async () => {
    const wrong = await study({ base: base({ model: './parts.ts#modl' }) });
    await expect(planOf(wrong)).rejects.toThrow(/'model'/);
  });
});
