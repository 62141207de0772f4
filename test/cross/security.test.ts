import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { publicWorkspaces, root } from '../packages/workspaces.mjs';

interface Installed {
  readonly version: string;
  readonly license: string;
  readonly scripts?: Readonly<Record<string, string>>;
}

const page = readFileSync(join(root, 'SECURITY.md'), 'utf8');
const [, table] = /<!-- dependencies -->(.*)<!-- \/dependencies -->/s.exec(page)!;
const rows = table!
  .trim()
  .split('\n')
  .slice(2)
  .map((row) => row.split('|').map((cell) => cell.trim().replaceAll('`', '')))
  .map(([, name, , version, script, license]) => ({ name, version, script, license }));

/** By name, the folder of a package that declares it. */
const declared = new Map(
  publicWorkspaces().flatMap(({ folder, manifest: { dependencies = {} } }) =>
    Object.keys(dependencies)
      .filter((name) => !name.startsWith('@espalier/') && name !== 'espalier')
      .map((name) => [name, folder] as const),
  ),
);

function readInstalled(name: string, folder: string): Installed {
  const paths = createRequire(join(folder, 'package.json')).resolve.paths(name)!;
  for (const path of paths) {
    try {
      return JSON.parse(readFileSync(join(path, name, 'package.json'), 'utf8')) as Installed;
    } catch {
      continue;
    }
  }
  throw new Error(`${name} is not installed`);
}

test('SECURITY.md names the production dependencies, their releases and licences', () => {
  const expected = [...declared].sort().map(([name, folder]) => {
    const { version, license, scripts = {} } = readInstalled(name, folder);
    const script = ['preinstall', 'install', 'postinstall'].find((each) => scripts[each]) ?? 'none';
    return { name, version, script, license };
  });
  expect(rows).toEqual(expected);
});
