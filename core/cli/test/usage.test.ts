import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build, espalier, fixtures } from './espalier.js';
import { run } from './in-process.js';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };
let folder = '';

beforeAll(async () => {
  build();
  folder = await mkdtemp(join(fixtures, '.usage-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function config(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
}

const runJson = join(fixtures, 'run.json');

describe('the command line', () => {
  it('tells its version, and shows examples with its help', async () => {
    const [told, help] = await Promise.all([espalier(['--version']), espalier(['--help'])]);
    expect(told).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect(help.code).toBe(0);
    expect(help.stdout).toContain('$ espalier train espalier.config.ts --resume');
  });

  it('exits with 2 when it is not understood, with 1 and no stack when a run fails', async () => {
    const [bad, failed] = await Promise.all([
      espalier(['trian', 'run.json']),
      espalier(['train', 'run.json', '--set', 'optimiser=adam']),
    ]);
    expect(bad).toMatchObject({ code: 2, stdout: '' });
    expect(bad.stderr).toContain('Did you mean train?');
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toMatch(/^espalier: run\.json: unknown option 'optimiser'\. Did .*\n$/);
  });

  it('prints the help of each command, and after an unknown option', async () => {
    const help = await run('train', '--help');
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toMatch(/^Usage: espalier train .*Arguments:.*--resume.*--allow-mismatch/s);
    expect((await run('study', 'run', '--help')).stdout).toContain('--retry-failed');
    const wrong = await run('compress', 'a.npy', '--out', 'b', '--ratoi', '4');
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toMatch(/'--ratoi'.*Did you mean --ratio.*Usage: espalier compress/s);
  });

  it.each([
    [['train'], "missing required argument 'config'"],
    [['train', runJson, '--epochs', 'many'], 'whole number'],
    [['eval', runJson, '--split', 'tset'], 'Allowed choices are train, validation, test'],
  ])('exits with 2 on %j', async (args, message) => {
    const { code, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe('a configuration that is wrong', () => {
  const train = (...args: string[]) => run('train', ...args);

  it.each([
    ['optimiser=adam', "Did you mean 'optimizer'?"],
    ['optimizer.optoins={}', "Did you mean 'options'?"],
    ['optimizer.use=adm', "Did you mean 'adam'?"],
    ['optimizer.use=tfjs.adm', "Did you mean 'tfjs.adam'?"],
    ['optimizer.options.epsilon=1', "adam (PyTorch's; there is tfjs.adam too): "],
    ['optimizer.options.learningRte=1', "Did you mean 'learningRate'?"],
    ['optimizer.options.learningRate.schedule=cosin', "Did you mean 'cosine'?"],
    ['loss=cross-entropie', "Did you mean 'cross-entropy'?"],
    ['loss={"use":"cross-entropy","options":{"form":"logits"}}', "Did you mean 'from'?"],
    ['loss={"use":"binary-cross-entropy","options":{"from":"logit"}}', "option 'from'"],
    ['loss={"use":"mean-squared-error","options":{"from":"logits"}}', "unknown option 'from'"],
    [
      'loss={"use":"cross-entropy","options":{"from":"probabilities"}}',
      "says from: 'probabilities', but layer 'logits'",
    ],
    ['model=./parts.ts#modl', "Did you mean 'model'?"],
    ['model=./nowhere.ts#model', 'nowhere.ts'],
    ['data.train=./parts.ts#notASource', 'data.train is not a source'],
    ['preset=@espalier/preset-none#none', 'npm install @espalier/preset-none'],
    ['preset={"extends":["@espalier/preset-baselines#byot"]}', "option 'plugins'"],
    ['plugins.penalty.options.wieght=1', "Did you mean 'weight'?"],
    ['plugins.penalti=false', "Did you mean 'penalty'?"],
    ['backend.prefer=["wasmm"]', "option 'backend.prefer.0'"],
    ['epochs=-1', "option 'epochs'"],
    ['epochs', '--set takes path=value'],
    ['loss.use.x=1', 'not plain data'],
  ])('--set %s', async (set, message) => {
    const { code, stderr } = await train(runJson, '--set', set);
    expect(stderr).toContain(message);
    expect(code).toBe(1);
  });

  it.each(['sgd', 'momentum', 'adam', 'adamax', 'rmsprop', 'adagrad', 'adadelta'])(
    'knows the optimizer tfjs.%s and its rate',
    async (name) => {
      const options = { learningRate: 0, ...(name === 'momentum' && { momentum: 0.9 }) };
      const set = `optimizer=${JSON.stringify({ use: `tfjs.${name}`, options })}`;
      const { stderr } = await train(runJson, '--set', set);
      expect(stderr).toContain(`tfjs.${name}: option 'learningRate': must be a positive number`);
    },
  );

  it('shows the stack with --verbose', async () => {
    const { stderr } = await train(runJson, '--set', 'epochs=0', '--verbose');
    expect(stderr).toMatch(/option 'epochs': .*received 0.*\n {4}at /s);
  });

  it.each([
    ['{\n  "epochs": 2,\n}', /line 3, column 1: Expected double-quoted property name\. /],
    ['{\n  "epochs": [2,\n  tru]\n}', /line 3, column 6: Unexpected token '\]'\. /],
    ['{\n  "epochs": tru\n}', /line 2, column 16: Unexpected token '\\n'\. /],
  ])('names the place in JSON %j', async (text, message) => {
    expect((await train(await config('comma.json', text))).stderr).toMatch(message);
  });

  it('is missing, is not JSON, has no default export, throws', async () => {
    const texts = [
      await train('nowhere.json'),
      await train(await config('broken.json', '{\n  "model": ')),
      await train(await config('bare.ts', 'export const config = {};')),
      await train(await config('throws.ts', "throw new Error('no data here');")),
    ];
    expect(texts.map(({ code }) => code)).toEqual([1, 1, 1, 1]);
    expect(texts[0]?.stderr).toMatch(/there is no file .*nowhere\.json/);
    expect(texts[1]?.stderr).toMatch(/broken\.json is not valid JSON at line 2, column 12: .* end/);
    expect(texts[2]?.stderr).toContain('bare.ts has no default export');
    expect(texts[3]?.stderr).toContain('throws.ts cannot be read: no data here');
  });
});
