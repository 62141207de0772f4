import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  buildConfig,
  countEpochs,
  describeStage,
  isCode,
  jsonSchema,
  listStages,
  loadConfig,
  makeSessionConfig,
  openSource,
  openStore,
  readObject,
  Modules,
} from '@espalier/config';
import { arraySource, loadExport } from '@espalier/core';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';

const DATA = {
  model: './model.js#model',
  loss: 'cross-entropy',
  optimizer: { use: 'sgd', options: { learningRate: 0.5 } },
  epochs: 2,
};
let folder = '';
const at = (name: string) => join(folder, name);

async function write(name: string, content: string): Promise<string> {
  await writeFile(at(name), content);
  return at(name);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

const build = (changes: object = {}, ...sets: string[]) =>
  buildConfig({ ...DATA, ...changes }, { file: at('run.json'), sets });

describe('reading', () => {
  it('reads JSON, JavaScript and TypeScript to the same settings', async () => {
    const json = JSON.stringify(DATA);
    const files = [
      await write('run.json', json),
      await write('run.mjs', `export default ${json};`),
      await write('run.ts', `const config: object = ${json};\nexport default config;`),
      await write('run.cjs', `module.exports = ${json};`),
      await write('run.cts', `const config: object = ${json};\nmodule.exports = config;`),
      await write('marked.json', `\uFEFF${json}`),
    ];
    const [fromJson, ...others] = await Promise.all(files.map((file) => loadConfig(file)));
    expect(fromJson!.folder).toBe(folder);
    expect(fromJson!.settings).toMatchObject({ model: { use: DATA.model }, epochs: 2 });
    for (const other of others) expect(other.settings).toEqual(fromJson!.settings);
  });

  it.each([
    ['a.json', '{\n "epochs": [1,\n ]}', 'config/config', /line 3, column 2/],
    ['d.json', `{"a": [${'1,'.repeat(20_000)}\n x]}`, 'config/config', /line 2, column 2/],
    ['e.json', 'x', 'config/config', /line 1, column 1/],
    ['f.json', '['.repeat(1000) + ']'.repeat(1000), 'config/config', /deeper than 500 levels/],
    ['b.json', '[1]', 'config/config', /no configuration object/],
    ['c.mjs', 'export const config = {};', 'config/config', /no default export/],
  ])('refuses %s with %j', async (name, content, code, message) => {
    const reading = readObject(await write(name, content), new Modules(at('x')));
    await expect(reading).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('refuses a file that does not exist', async () => {
    await expect(loadConfig(at('none.json'))).rejects.toMatchObject({ code: 'config/no-config' });
  });

  it('refuses a folder, and names the configuration in it', async () => {
    await mkdir(at('project'));
    const refused = (fix: RegExp) =>
      expect(loadConfig(at('project'))).rejects.toMatchObject({
        code: 'config/no-config',
        message: expect.stringMatching(fix),
      });
    await refused(/is a folder.*\.json file\./);
    await write('project/espalier.config.ts', '');
    await refused(/for example espalier\.config\.ts in it/);
  });

  it('loads a preset that is JSON', async () => {
    await write('preset.json', '{ "name": "mine", "plugins": {} }');
    const loaded = build({ model: () => undefined, preset: './preset.json' });
    const { preset } = await makeSessionConfig(loaded);
    await expect(loadExport('./preset.json', { load: loaded.modules.load })).resolves.toEqual({
      name: 'mine',
      plugins: {},
    });
    expect(preset).toBeDefined();
    await write('preset.json', '{ "name": ');
    await expect(loadExport('./preset.json', { load: loaded.modules.load })).rejects.toMatchObject({
      message: expect.stringMatching(/preset\.json is not valid JSON at line 1/),
    });
  });

  test.each([
    [{ epochs: -1 }, /option 'epochs'/],
    [{ optimiser: 'sgd' }, /Did you mean 'optimizer'/],
    [{ stages: [{ epochs: 1 }] }, /epochs and stages exclude each other/],
  ])('a wrong field is named: %j', (changes, message) => {
    expect(() => build(changes)).toThrow(message);
  });
});

describe('path=value', () => {
  it('sets data by its path, read as JSON or else as a string', () => {
    const { settings } = build(
      {},
      'optimizer.options.learningRate=0.25',
      'loss=mean-squared-error',
    );
    expect(settings.optimizer.options).toEqual({ learningRate: 0.25 });
    expect(settings.loss.use).toBe('mean-squared-error');
  });

  it('keeps plugins apart, on top of what the configuration has, which stays as it is', () => {
    const written = { ...DATA, plugins: { ema: { use: 'a#ema', options: { decay: { low: 1 } } } } };
    const sets = ['plugins.ema.options.decay.high=2', 'plugins.other=false'];
    const { overrides } = buildConfig(written, { file: at('run.json'), sets });
    expect(overrides).toEqual({ ema: { options: { decay: { low: 1, high: 2 } } }, other: false });
    expect(written.plugins.ema.options).toEqual({ decay: { low: 1 } });
  });

  it.each(['epochs', 'loss.use.x=1'])('refuses %s', (set) => {
    expect(() => build({ loss: { use: new Date() } }, set)).toThrow(/--set/);
  });
});

describe('stages', () => {
  const stages = [{ epochs: 3 }, { transform: ['a', 'b'] }, { epochs: 1 }];

  it('leaves a removed plugin out of the transforms that name it', () => {
    const loaded = build({ epochs: undefined, stages, plugins: { a: false } });
    expect(listStages(loaded)).toEqual([{ epochs: 3 }, { transform: ['b'] }, { epochs: 1 }]);
    expect(countEpochs(listStages(loaded))).toBe(4);
  });

  it('takes epochs for one stage, and refuses neither', () => {
    expect(listStages(build())).toEqual([{ epochs: 2 }]);
    expect(() => listStages(build({ epochs: undefined }))).toThrow(/neither epochs nor stages/);
  });

  it.each([
    [{ epochs: 1 }, '1 epoch'],
    [{ transform: ['a', 'b'] }, 'transform by a, b'],
    [{ transform: true as const }, 'transform by every plugin that has one'],
  ])('describes %j', (stage, text) => {
    expect(describeStage(stage)).toBe(text);
  });
});

describe('components', () => {
  const source = arraySource({
    x: { data: new Float32Array(1), shape: [1, 1] },
    y: { data: new Int32Array(1), shape: [1] },
    batchSize: 1,
  });

  it('makes losses, optimizers and schedules from data', async () => {
    const schedule = { schedule: 'cosine', initial: 0.1, steps: 10 };
    const optimizer = { use: 'adam', options: { learningRate: schedule }, clip: { norm: 1 } };
    const config = await makeSessionConfig(build({ model: () => undefined, optimizer }));
    expect(config.loss).toHaveProperty('perExample');
    expect(config.optimizer).toHaveProperty('update');
  });

  it.each([
    [{ loss: 'cross-entropie' }, /Did you mean 'cross-entropy'/],
    [{ optimizer: 'adm' }, /Did you mean 'adam'/],
    [{ optimizer: { use: 'sgd', options: { learningRate: { schedule: 'cos' } } } }, /no schedule/],
  ])('refuses %j', async (changes, message) => {
    const config = makeSessionConfig(build({ model: () => undefined, ...changes }));
    await expect(config).rejects.toMatchObject({
      code: 'config/unknown-name',
      message: expect.stringMatching(message),
    });
  });

  it('opens a source, or one that a function makes for the batch size', async () => {
    const sizes: unknown[] = [];
    const train = ({ batchSize }: { batchSize?: number }) => (sizes.push(batchSize), source);
    const loaded = build({ batchSize: 7, data: { train, validation: source } });
    expect(await openSource(loaded, 'train')).toBe(source);
    expect(await openSource(loaded, 'validation')).toBe(source);
    expect(await openSource(loaded, 'test')).toBeUndefined();
    expect(sizes).toEqual([7]);
  });

  it('has a store where the configuration names a folder', () => {
    const { location } = openStore(build({ checkpoint: { dir: 'runs/a' } }));
    expect(location).toBe(join(folder, 'runs/a'));
    expect(() => openStore(build())).toThrow(/names no folder/);
  });

  it.each([
    ['./a.js#a', false],
    [{ use: () => source }, false],
    [() => source, true],
    [{ plugins: {} }, true],
    [{ a: [1] }, false],
  ])('knows code from a name: %j', (value, expected) => {
    expect(isCode(value)).toBe(expected);
  });
});

test('the JSON Schema takes a name alone or with options', () => {
  const { properties } = jsonSchema() as { properties: Record<string, { anyOf: object[] }> };
  expect(properties['loss']!.anyOf).toMatchObject([{ type: 'string' }, { required: ['use'] }]);
});
