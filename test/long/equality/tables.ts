import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { expect } from 'vitest';

export const pageOf = (name: string): string =>
  fileURLToPath(new URL(`../../../core/${name}`, import.meta.url));

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** Compares the tables of a page with those that are measured; `vitest -u` writes them. */
export async function expectTables(page: string, tables: Readonly<Record<string, string>>) {
  const text = await readFile(page, 'utf8');
  const filled = Object.entries(tables).reduce((whole, [name, rows]) => {
    const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
    const [before, rest] = whole.split(start);
    return `${before}${start}\n\n${rows}\n\n${end}${rest!.split(end)[1]}`;
  }, text);
  const config = await resolveConfig(page);
  await expect(await format(filled, { ...config, parser: 'markdown' })).toMatchFileSnapshot(page);
}

/** The keys of a table in the source of tfjs-layers, which exports none of them. */
export async function keysInTfjs(file: string, name: string): Promise<readonly string[]> {
  const path = createRequire(import.meta.url).resolve(`@tensorflow/tfjs-layers/dist/${file}.js`);
  const [, body] = new RegExp(`const ${name} = \\{([^}]*)\\}`).exec(await readFile(path, 'utf8'))!;
  return [...body!.matchAll(/^\s*'?(\w+)'?[,:\n]/gm)].map(([, key]) => key!);
}
