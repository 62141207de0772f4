import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installPacked } from './pack.js';
import type { Consumer } from './pack.js';
import { hasSources, publicWorkspaces, root } from './workspaces.mjs';

const workspaces = publicWorkspaces().filter(hasSources);
const entriesOf = ({ name, exports = {} }: (typeof workspaces)[number]['manifest']) =>
  Object.keys(exports).map((entry) => name + entry.slice(1));
const entries = workspaces
  .flatMap(({ manifest }) => entriesOf(manifest))
  .filter((entry) => !entry.endsWith('.json'));

/** A command line, and a kit that needs a test runner: no page uses them. */
const nodeOnly = /^espalier$|^@espalier\/(config|study|testkit)$|\/node$/;

const base = mkdtempSync(join(tmpdir(), 'espalier-packages-'));
let consumer: Consumer;
beforeAll(() => {
  consumer = installPacked(
    base,
    'consumer',
    publicWorkspaces().map(({ manifest }) => manifest.name),
  );
});
afterAll(() => rmSync(base, { recursive: true }));

describe.each(workspaces)('the tarball of $manifest.name', ({ folder, manifest }) => {
  const files = () =>
    consumer.packed.find(({ name }) => name === manifest.name)!.files.map(({ path }) => path);
  const sources = readdirSync(join(folder, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .map((path) => path.replace(/\.ts$/, ''));

  test('holds what its sources compile to, the sources, and nothing else', () => {
    const compiled = sources.flatMap((path) =>
      ['.js', '.d.ts', '.js.map', '.d.ts.map'].map((ending) => `dist/${path}${ending}`),
    );
    const expected = [...compiled, ...sources.map((path) => `src/${path}.ts`)];
    const built = files().filter((path) => path.startsWith('dist/'));
    const missing = expected.filter((path) => !files().includes(path));
    const stale = built.filter((path) => !compiled.includes(path));
    const advice = 'remove the dist folder of the package and build again';
    expect({ missing, stale }, advice).toEqual({ missing: [], stale: [] });
  });

  test('has a README and no tests or build state', () => {
    expect(files()).toContain('README.md');
    expect(
      files().filter((path) => /\.test\.|(^|\/)test\/|tsbuildinfo|tsconfig/.test(path)),
    ).toEqual([]);
  });
});

describe('installed from tarballs without install scripts', () => {
  test('has one tfjs-core, and every peer that it needs', () => {
    const cores = consumer.run('npm', 'ls', '--all', '--parseable', '@tensorflow/tfjs-core');
    expect(new Set(cores.trim().split('\n')).size).toBe(1);
    consumer.run('npm', 'ls', '--all');
  });

  test('every entry loads in Node', () => {
    const script = entries
      .map((entry) => `console.log(Object.keys(await import('${entry}')).length);`)
      .join('\n');
    const counts = consumer.run('node', '--input-type=module', '--eval', script).trim().split('\n');
    expect(counts).toHaveLength(entries.length);
    expect(entries.filter((_, i) => !(Number(counts[i]) > 0))).toEqual([]);
  });

  test('private files cannot be imported', () => {
    const names = workspaces.map(({ manifest }) => manifest.name);
    const script = names
      .map((name) => `await import('${name}/dist/index.js').catch(print);`)
      .join('');
    const print = 'const print = ({ code }) => console.log(code);';
    const codes = consumer.run('node', '--input-type=module', '--eval', print + script).trim();
    expect(codes.split('\n')).toEqual(names.map(() => 'ERR_PACKAGE_PATH_NOT_EXPORTED'));
  });

  test('trains with a preset, saves, and resumes', () => {
    const output = consumer.run('node', 'train.js').trim().split('\n').pop()!;
    const { line, first, second } = JSON.parse(output);
    expect(line).toMatch(/^backend wasm .*SIMD/);
    expect([first.resumed, first.losses.length]).toEqual([false, 2]);
    expect([second.resumed, second.losses.length]).toEqual([true, 6]);
    expect(second.losses.slice(0, 2)).toEqual(first.losses);
    expect(second.losses[5]).toBeLessThan(first.losses[0]);
  });

  test('gives the command espalier', () => {
    expect(consumer.run('npx', '--no', '--', 'espalier', '--help')).toMatch(/train[\s\S]*inspect/);
  });
});

describe('in a strict TypeScript project that checks declarations too', () => {
  const check = (project: string) => {
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const ours = (line: string) => !/^\s|^node_modules\/(?!@espalier|espalier)/.test(line);
    try {
      consumer.run(process.execPath, tsc, '--pretty', 'false', '--project', project);
      return [];
    } catch (error) {
      const { stdout } = error as { stdout: string };
      if (!stdout) throw error;
      return stdout.split('\n').filter(Boolean).filter(ours);
    }
  };

  test('types resolve and infer under moduleResolution nodenext', () => {
    expect(check('tsconfig.nodenext.json')).toEqual([]);
  });

  test('types resolve and infer under moduleResolution bundler, without those of Node', () => {
    expect(check('tsconfig.bundler.json')).toEqual([]);
  });
});

test('all browser entries bundle together, without Node and with one tfjs-core', async () => {
  const contents = entries
    .filter((entry) => !nodeOnly.test(entry))
    .map((entry) => `import * as ${entry.replace(/\W/g, '_')} from '${entry}';`)
    .join('\n');
  const names = [...contents.matchAll(/ as (\w+)/g)].map((match) => match[1]);
  const { metafile } = await build({
    stdin: {
      contents: `${contents}\nconsole.log(${names.join(', ')});`,
      resolveDir: consumer.folder,
    },
    bundle: true,
    platform: 'browser',
    format: 'esm',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const inputs = Object.keys(metafile.inputs);
  expect(
    inputs.filter((path) => /tfjs-core\/(dist|package)\/.*engine\.js$/.test(path)),
  ).toHaveLength(1);
  expect(inputs.filter((path) => /@espalier\/[^/]+\/dist\/node\//.test(path))).toEqual([]);
});
