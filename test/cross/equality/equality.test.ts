import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { onBackend } from '@espalier/testkit';
import { format, resolveConfig } from 'prettier';
import { beforeAll, expect, test } from 'vitest';
import { features } from './features.js';
import { EXCLUDED, layerClasses, measured } from './layers.js';
import { boundOf, compare } from './measure.js';
import type { Training } from './measure.js';
import { codeOf, refusals } from './refusals.js';

beforeAll(() => onBackend('cpu'));

const pageOf = (name: string) =>
  fileURLToPath(new URL(`../../../core/trainer/${name}`, import.meta.url));

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

async function measure(trainings: readonly (readonly [string, Training])[]) {
  const rows: [string, string][] = [];
  for (const [name, training] of trainings) {
    const { difference, moved } = await compare(training);
    expect(moved, `weights of '${name}' move`).toBeGreaterThan(1e-4);
    rows.push([name, boundOf(difference)]);
  }
  return rows;
}

test('every layer class of tfjs is measured, or excluded with a reason', () => {
  const named = [...measured.map(([name]) => name), ...Object.keys(EXCLUDED)];
  expect(named.sort()).toEqual([...layerClasses()].sort());
});

/** Compares the tables of a page with those that are measured; `vitest -u` writes them. */
async function expectTables(page: string, tables: Readonly<Record<string, string>>) {
  const text = await readFile(page, 'utf8');
  const filled = Object.entries(tables).reduce((whole, [name, rows]) => {
    const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
    const [before, rest] = whole.split(start);
    return `${before}${start}\n\n${rows}\n\n${end}${rest!.split(end)[1]}`;
  }, text);
  const config = await resolveConfig(page);
  await expect(await format(filled, { ...config, parser: 'markdown' })).toMatchFileSnapshot(page);
}

test('the tables say how near a session comes to LayersModel.fit', async () => {
  await expectTables(pageOf('EQUALITY.md'), {
    features: table(['what', 'largest difference'], await measure(features)),
    layers: table(['layer class', 'largest difference'], await measure(measured)),
    excluded: table(['not measured', 'why'], Object.entries(EXCLUDED)),
  });
});

test('the README says what is refused, by which code, and what to do instead', async () => {
  const rows: string[][] = [];
  for (const { what, attempt, instead } of refusals) {
    rows.push([what, `\`${await codeOf(attempt)}\``, instead]);
  }
  await expectTables(pageOf('README.md'), {
    refused: table(['what', 'code', 'instead'], rows),
  });
});
