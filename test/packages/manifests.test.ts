import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packagesNamedIn } from './imports.js';
import { hasSources, publicWorkspaces, readJson, root } from './workspaces.mjs';
import type { Manifest, Ranges } from './workspaces.mjs';

const workspaces = publicWorkspaces().filter(hasSources);
const own = new Map(workspaces.map(({ manifest }) => [manifest.name, manifest]));
const { version } = readJson<{ version: string }>(join(root, 'lerna.json'));
const rootManifest = readJson<Manifest>(join(root, 'package.json'));
const sorted = (names: Iterable<string>) => [...new Set(names)].sort();

/** Peers without which a package cannot be used at all. */
function requiredPeers({ peerDependencies = {}, peerDependenciesMeta = {} }: Manifest): string[] {
  return Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
}

const optionalPeers = ({ peerDependenciesMeta = {} }: Manifest) =>
  Object.keys(peerDependenciesMeta);

test('there are packages to check', () => {
  expect([...own.keys()]).toEqual(expect.arrayContaining(['@espalier/core', '@espalier/backend']));
});

describe.each(workspaces)('package.json of $manifest.name', ({ folder, manifest }) => {
  const { imported, quoted } = packagesNamedIn(join(folder, 'src'));

  test('says what the registry and a consumer need', () => {
    expect(manifest).toMatchObject({
      version,
      type: 'module',
      license: rootManifest.license,
      engines: rootManifest.engines,
      publishConfig: { access: 'public' },
    });
    expect(manifest.description).toMatch(/\S.*\.$/);
    expect(manifest.files).toEqual(expect.arrayContaining(['dist', 'src', 'README.md']));
    expect(manifest.devDependencies, 'tools belong to the root').toBeUndefined();
  });

  test('depends on what its sources import, and on nothing else', () => {
    const inherited = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
      .map((name) => own.get(name))
      .flatMap((dependency) => (dependency ? requiredPeers(dependency) : []));
    const declared = [...Object.keys(manifest.dependencies ?? {}), ...requiredPeers(manifest)];
    const optional = optionalPeers(manifest);
    const needed = [...imported].filter((name) => !optional.includes(name));
    expect(sorted(declared)).toEqual(sorted([...needed, ...inherited]));
  });

  test('has no optional peer that it never loads', () => {
    for (const name of optionalPeers(manifest)) {
      expect(Object.keys(manifest.peerDependencies ?? {})).toContain(name);
      const loaded = [name, name.split('/').pop()!].some((word) => quoted.has(word));
      expect({ [name]: loaded || imported.has(name) }).toEqual({ [name]: true });
    }
  });

  test('leaves to the consumer what must exist once', () => {
    const once = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers'];
    expect(Object.keys(manifest.dependencies ?? {}).filter((name) => once.includes(name))).toEqual(
      [],
    );
  });

  test('asks for its siblings at their common version', () => {
    const ranges = { ...manifest.dependencies, ...manifest.peerDependencies };
    for (const [name, range] of Object.entries(ranges)) {
      if (own.has(name)) expect({ [name]: range }).toEqual({ [name]: version });
    }
  });
});

test('one dependency has one range in the whole repository', () => {
  const ranges = new Map<string, Set<string>>();
  const add = (list: Ranges = {}) => {
    for (const [name, range] of Object.entries(list)) {
      ranges.set(name, (ranges.get(name) ?? new Set<string>()).add(range));
    }
  };
  for (const manifest of [rootManifest, ...own.values()]) {
    add(manifest.dependencies);
    add(manifest.devDependencies);
    add(manifest.peerDependencies);
  }
  ranges.delete('vitest'); // a kit for plugin authors takes any vitest of this major version
  const several = [...ranges].filter(([, list]) => list.size > 1);
  expect(several.map(([name, list]) => `${name}: ${[...list].join(', ')}`)).toEqual([]);
});
