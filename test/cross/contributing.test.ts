import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HOOKS } from '@espalier/core';
import type { HookRow, PluginFactory } from '@espalier/core';
import { testPlugin } from '@espalier/testkit';
import { format, resolveConfig } from 'prettier';
import { afterAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const guide = join(root, 'CONTRIBUTING.md');
const text = await readFile(guide, 'utf8');

/** The files of the guide: code blocks that begin with their name. */
const folder = await mkdtemp(join(root, 'test/cross/.contributing-'));
for (const [, code = '', name = ''] of text.matchAll(/```ts\n(\/\/ (\S+)\n.*?)```/gs)) {
  await writeFile(join(folder, name), code);
}
afterAll(() => rm(folder, { recursive: true }));

await import(join(folder, 'logit-penalty.test.ts'));
const { weightAverage } = (await import(join(folder, 'weight-average.ts'))) as {
  weightAverage: PluginFactory;
};
testPlugin(weightAverage, [{ name: 'defaults' }, { name: 'short', options: { decay: 0.5 } }]);

/** Hook → its argument, as the source says it. */
async function hookArguments(): Promise<ReadonlyMap<string, string>> {
  const source = await readFile(join(root, 'core/trainer/src/hooks/hooks.ts'), 'utf8');
  const body = /interface HookArguments \{\n(.*?)\n\}/s.exec(source)![1]!;
  const fields = body.matchAll(/^ {2}(\w+): (.*);$/gm);
  return new Map([...fields].map(([, hook, type]) => [hook!, type!.replace('readonly ', '')]));
}

async function hookTable(): Promise<string> {
  const types = await hookArguments();
  const rows = Object.entries<HookRow>(HOOKS).map(([hook, { kind, needs, nested, doc }]) => [
    `\`${hook}\``,
    kind,
    `\`${types.get(hook)}\``,
    needs === undefined ? '' : `\`${needs}\``,
    nested ? 'yes' : '',
    doc,
  ]);
  const heads = ['hook', 'kind', 'argument', 'needs an effect on', 'nested', 'what'];
  return [heads, heads.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

// `vitest -u` writes the table.
test('the guide has every hook', async () => {
  const [before, rest] = text.split('<!-- hooks -->');
  const after = rest!.split('<!-- /hooks -->')[1];
  const filled = `${before}<!-- hooks -->\n\n${await hookTable()}\n\n<!-- /hooks -->${after}`;
  const config = await resolveConfig(guide);
  await expect(await format(filled, { ...config, parser: 'markdown' })).toMatchFileSnapshot(guide);
});

test('the loop in the guide fires every hook', () => {
  const [, loop = ''] = /```text\n(session\.fit.*?)```/s.exec(text)!;
  const fired = [...loop.matchAll(/fire (\w+)/g)].map(([, hook]) => hook);
  expect([...fired].sort()).toEqual(Object.keys(HOOKS).sort());
});

test.each(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'examples/README.md'])(
  'every file that %s links to is there',
  async (page) => {
    const links = (await readFile(join(root, page), 'utf8')).matchAll(/\]\((?!https?:|#)([^)#]+)/g);
    const missing = [...links]
      .map(([, path]) => join(root, dirname(page), path!))
      .filter((path) => !existsSync(path));
    expect(missing).toEqual([]);
  },
);
