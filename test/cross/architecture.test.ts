import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describe, expect, test } from 'vitest';
import { root } from '../packages/workspaces.mjs';
import { findCircles } from './sources/circles.js';
import {
  countFloors,
  listDependencies,
  listReferences,
  readPackages,
} from './sources/package-graph.js';
import type { PackageNode } from './sources/package-graph.js';

const packages = readPackages();
const core = packages.filter(({ path }) => path.startsWith('core/'));
const floors = countFloors(packages);
const sort = (names: Iterable<string>) => [...names].sort();

test('the packages of core are few floors with few arrows', () => {
  const arrows = core.flatMap(({ name, used }) => [...used].map((each) => `${name} → ${each}`));
  const below = arrows.filter((arrow) => !/@espalier\/(attach|compress)( |$)/.test(arrow));
  expect(arrows.length, arrows.join('\n')).toBeLessThanOrEqual(66);
  expect(below.length).toBeLessThanOrEqual(54);
  expect(below.length).toBeGreaterThan(core.length);
  expect(Math.max(...core.map(({ name }) => floors.get(name)!))).toBeLessThanOrEqual(6);
});

test('core uses no plugin, a plugin uses core alone, a preset no other preset', () => {
  const layers = ['core', 'plugins', 'presets'];
  const layerOf = (path: string) => layers.indexOf(path.split('/')[0]!);
  const paths = new Map(packages.map(({ name, path }) => [name, path]));
  const wrong = packages.flatMap(({ name, path, used }) =>
    [...used]
      .filter((each) => {
        const below = layerOf(paths.get(each)!);
        return layerOf(path) === 0 ? below > 0 : below >= layerOf(path);
      })
      .map((each) => `${name} → ${each}`),
  );
  expect(wrong).toEqual([]);
});

test('no files of the trainer import each other in a circle, types included', () => {
  expect(findCircles(join(root, 'core/trainer/src'))).toEqual([]);
});

describe.each(packages)('$name', ({ path, imported }) => {
  test('package.json asks for the packages that its sources import', () => {
    expect(sort(listDependencies(path))).toEqual(sort(imported));
  });

  test('tsconfig.json references the packages that its sources import', () => {
    expect(sort(listReferences(path))).toEqual(sort(imported));
  });
});

// `vitest -u` writes the table.
test('ARCHITECTURE.md has the table of packages', async () => {
  const path = join(root, 'ARCHITECTURE.md');
  const [before, rest] = (await readFile(path, 'utf8')).split('<!-- packages -->');
  const after = rest!.split('<!-- /packages -->')[1];
  const filled = `${before}<!-- packages -->\n\n${packageTable()}\n\n<!-- /packages -->${after}`;
  const config = await resolveConfig(path);
  await expect(await format(filled, { ...config, parser: 'markdown' })).toMatchFileSnapshot(path);
});

function packageTable(): string {
  const rows = [...core]
    .sort((a, b) => floors.get(a.name)! - floors.get(b.name)! || a.name.localeCompare(b.name))
    .map((each) => [
      String(floors.get(each.name)),
      `[\`${each.name}\`](${each.path})`,
      each.description.replace(/\.$/, ''),
      listShort(each),
    ]);
  const heads = ['floor', 'package', 'what it holds', 'stands on'];
  return [heads, heads.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function listShort({ used, usesTensorFlow }: PackageNode): string {
  const names = [...used].map((name) => name.replace('@espalier/', ''));
  return [...names, ...(usesTensorFlow ? ['TensorFlow.js'] : [])].join(', ');
}
