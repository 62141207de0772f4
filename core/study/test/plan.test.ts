import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listTrials } from '@espalier/study';
import type { Study } from '@espalier/study';
import { beforeAll, describe, expect, test } from 'vitest';
import { base, copyOfParts, fixtures, planOf, rowsOf, study } from './studies.js';

/** Id of the trial of the base, or of the named row, with a seed. */
async function idOf(
  fields: Partial<Study> = {},
  { folder = fixtures, row = 'base', seed = 1 } = {},
) {
  const { rows } = await planOf(await study(fields, folder));
  const found = rows.find(({ name }) => name === row)!;
  return listTrials(found, [seed])[0]!.id;
}

function edit(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

let plain: string | undefined;
beforeAll(async () => {
  plain = await idOf();
});

describe('the id of a trial', () => {
  test('is the same for the same content, whatever the order of its keys', async () => {
    const reversed = Object.fromEntries(Object.entries(base()).reverse());
    expect(await idOf({ base: reversed as never })).toBe(plain);
    expect(plain).toMatch(/^[0-9a-f]{32}$/);
  });

  test('does not depend on what a row is called, on other rows, on metrics or on limits', async () => {
    const a = { set: { 'model.options.units': 4 } };
    const id = await idOf({ factors: { a } }, { row: 'a' });
    const fields: Partial<Study> = {
      factors: { other: { drop: 'noise' }, b: a },
      seeds: 5,
      primary: 'loss',
      limits: { seconds: 100 },
    };
    expect(await idOf(fields, { row: 'b' })).toBe(id);
  });

  test.each<[string, Record<string, unknown>]>([
    ['an option of the model', { model: { use: './parts.ts#model', options: { units: 9 } } }],
    ['an option of the optimizer', { optimizer: { use: 'sgd', options: { learningRate: 0.2 } } }],
    ['an option of a plugin', { plugins: { noise: { options: { size: 0.3 } } } }],
    ['a plugin less', { plugins: { noise: false } }],
    ['the loss', { loss: 'mean-squared-error' }],
    ['epochs', { epochs: 3 }],
    ['stages', { epochs: undefined, stages: [{ epochs: 2 }, { transform: true }] }],
    ['semantics', { semantics: 'tfjs' }],
    ['the size of batches', { batchSize: 20 }],
    ['accumulation', { accumulate: 2 }],
    [
      'training data',
      {
        data: {
          ...(base()['data'] as object),
          train: { use: './parts.ts#data', options: { examples: 90 } },
        },
      },
    ],
    [
      'validation data',
      {
        data: {
          ...(base()['data'] as object),
          validation: { use: './parts.ts#data', options: { name: 'other' } },
        },
      },
    ],
    ['the backend', { backend: { prefer: ['wasm'] } }],
  ])('is another with another value of %s', async (_what, fields) => {
    expect(await idOf({ base: base(fields) })).not.toBe(plain);
  });

  test('is another for another seed', async () => {
    expect(await idOf({}, { seed: 2 })).not.toBe(plain);
  });

  test('is the same in another folder, and another once the code of a plugin is another', async () => {
    const folder = copyOfParts();
    const before = await idOf({}, { folder });
    edit(join(folder, 'parts.ts'), (text) => text.replace('1 + size', '2 + size'));
    expect(await idOf({}, { folder })).not.toBe(before);
    expect(await idOf({}, { folder: copyOfParts() })).toBe(before);
  });

  test.each([
    ['TypeScript', 'width.ts', "import { width } from './width';"],
    ['JavaScript', 'width.js', "import { width } from './width.js';"],
    ['CommonJS', 'width.cjs', "import { width } from './width.cjs';"],
    ['JSON', 'width.json', "import { width } from './width.json';"],
  ])('is another once a %s module that the model imports is another', async (_what, name, line) => {
    const content = (n: number) =>
      name.endsWith('json')
        ? `{ "width": ${n} }`
        : name.endsWith('.cjs')
          ? `exports.width = ${n};`
          : `export const width = ${n};`;
    const folder = copyOfParts();
    const deep = "import { inner } from './inner.ts'; export const model = inner;";
    writeFileSync(join(folder, 'model.ts'), deep);
    writeFileSync(
      join(folder, 'inner.ts'),
      `${line}\nimport { model } from './parts.ts';\nexport const inner = () => model({ units: Number(width) });`,
    );
    writeFileSync(join(folder, name), content(4));
    const fields = { base: base({ model: './model.ts' + '#model' }) };
    const before = await idOf(fields, { folder });
    expect(await idOf(fields, { folder })).toBe(before);
    writeFileSync(join(folder, name), content(5));
    expect(await idOf(fields, { folder })).not.toBe(before);
  });

  test.each([
    [
      're-exported',
      'model.js',
      "export { model } from './parts.ts'; export * from './more.js';",
      'more.js',
    ],
    [
      'imported at run time',
      'model.js',
      "export const model = () => import('./more.js');",
      'more.js',
    ],
    [
      'required',
      'model.cjs',
      "const { n } = require('./more.cjs'); exports.model = () => n;",
      'more.cjs',
    ],
  ])('is another once a module that is %s is another', async (_how, file, code, imported) => {
    const folder = copyOfParts();
    writeFileSync(join(folder, file), code);
    writeFileSync(
      join(folder, imported),
      imported.endsWith('.cjs') ? 'exports.n = 1;' : 'export const n = 1;',
    );
    const { rows, planner } = await planOf(await study({}, folder));
    const { hash } = await planner.applyLevels(rows[0]!, [
      `model=${JSON.stringify({ use: `./${file}#model` })}`,
    ]);
    edit(join(folder, imported), (text) => text.replace('1', '2'));
    const again = await planOf(await study({}, folder));
    const changed = await again.planner.applyLevels(again.rows[0]!, [
      `model=${JSON.stringify({ use: `./${file}#model` })}`,
    ]);
    expect(changed.hash).not.toBe(hash);
  });

  test('leaves out what types alone are imported from', async () => {
    const folder = copyOfParts();
    edit(
      join(folder, 'parts.ts'),
      (text) =>
        `import type { A } from './types.js';\nexport type { B } from './types.js';\n${text}`,
    );
    expect(await idOf({}, { folder })).toMatch(/^[0-9a-f]{32}$/);
  });

  test('an import that cannot be found is told, with the file that has it', async () => {
    const folder = copyOfParts();
    writeFileSync(join(folder, 'lost.ts'), "export const make = () => import('./nowhere.ts');");
    const { rows, planner } = await planOf(await study({}, folder));
    await expect(planner.applyLevels(rows[0]!, ['model=./lost.ts#make'])).rejects.toMatchObject({
      code: 'study/code',
      message: expect.stringMatching(/lost\.ts imports '\.\/nowhere\.ts'/) as string,
    });
  });
});

test('rows may differ in stages: equal epochs are an equal budget', async () => {
  const stages = [{ epochs: 1 }, { transform: true }, { epochs: 1 }];
  const [plain, staged] = await rowsOf({
    base: base({ epochs: undefined, stages: [{ epochs: 2 }] }),
    factors: { staged: { set: { stages } } },
  });
  expect(staged!.budget).toEqual(plain!.budget);
  const id = listTrials(plain!, [1])[0]!.id;
  expect(id).toBe(await idOf()); // what `epochs: 2` is short for
  expect(staged!.diff).toContain('epochs was 2, is absent');
  await expect(rowsOf({ factors: { both: { set: { stages } } } })).rejects.toThrow(
    /epochs and stages exclude each other/,
  );
  await expect(
    rowsOf({
      base: base({ epochs: undefined, stages }),
      factors: { wrong: { set: { 'stages.1.transform': ['noize'] } } },
    }),
  ).rejects.toThrow(/row 'wrong': its stages name the plugin 'noize'.*Did you mean 'noise'/s);
});

test('a row tells what is other than in the base', async () => {
  const { rows } = await planOf(
    await study({ factors: { x: { set: { epochs: 5, 'plugins.noise.options.size': 1 } } } }),
  );
  expect(rows[0]!.diff).toEqual([]);
  expect(rows[1]!.diff).toEqual([
    'epochs was 2, is 5',
    "plugin 'noise': options.size was 0.2 (preset both), is 1 (override)",
  ]);
  expect(rows[1]!.budget).toEqual({ epochs: 5, batchSize: 10, accumulate: 1 });
});

test('a setting that is not finite reaches the row as it is: here to be refused', async () => {
  const set = { 'plugins.scaler.options.by': -Infinity };
  const loaded = await study({ factors: { far: { set } } });
  await expect(planOf(loaded)).rejects.toThrow(/option 'by': .*-Infinity/);
});
