import { join, relative } from 'node:path';
import ts from 'typescript';
import { publicWorkspaces, readJson, root } from '../../packages/workspaces.mjs';
import { listModuleUses, listSources, parseSource, resolveRelative } from './source-file.js';

/** A package of the repository and what its sources use. */
export interface PackageNode {
  readonly name: string;
  /** `core/model`. */
  readonly path: string;
  readonly description: string;
  /** Packages of the repository, as the sources spell them. */
  readonly imported: ReadonlySet<string>;
  /** Packages of the repository that define what the sources use, whichever re-exports it. */
  readonly used: ReadonlySet<string>;
  readonly usesTensorFlow: boolean;
}

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, unknown>>;
}

const manifests = new Map(
  publicWorkspaces().map(({ folder, manifest }) => [
    manifest.name,
    { folder, manifest: manifest as Manifest & { description: string } },
  ]),
);

/** Reads the packages of `core`, `plugins` and `presets`. */
export function readPackages(): readonly PackageNode[] {
  return [...manifests.values()]
    .map(({ folder, manifest }) => ({ path: relative(root, folder), folder, manifest }))
    .filter(({ path }) => /^(core|plugins|presets)\//.test(path))
    .map(({ path, folder, manifest: { name, description } }) => {
      const uses = listSources(join(folder, 'src')).flatMap((file) => [...listUses(file)]);
      const others = (packages: readonly string[]) =>
        new Set(packages.filter((each) => each !== name && manifests.has(each)).sort());
      return {
        name,
        path,
        description,
        imported: others(uses.map(({ imported }) => imported)),
        used: others(uses.flatMap(({ defined }) => defined)),
        usesTensorFlow: uses.some(({ imported }) => imported.startsWith('@tensorflow/')),
      };
    });
}

function listUses(path: string) {
  return listModuleUses(parseSource(path))
    .filter(({ specifier }) => !specifier.startsWith('.'))
    .map(({ specifier, names }) => ({
      imported: packageOf(specifier),
      defined: names?.map((name) => findDefinition(specifier, name)) ?? [packageOf(specifier)],
    }));
}

const packageOf = (specifier: string) => /^(@[^/]+\/)?[^/]+/.exec(specifier)![0];

/** The package that defines what `specifier` exports as `name`. */
function findDefinition(specifier: string, name: string): string {
  const owner = packageOf(specifier);
  const entry = findEntry(specifier);
  return (entry && findInFile(entry, name, owner)) ?? owner;
}

/** The source of a package, or of one of its subpaths. */
function findEntry(specifier: string): string | undefined {
  const owner = packageOf(specifier);
  const known = manifests.get(owner);
  if (!known) return undefined;
  return findSource(known.manifest.exports[`.${specifier.slice(owner.length)}`], known.folder);
}

function findSource(conditions: unknown, folder: string): string | undefined {
  if (typeof conditions !== 'object' || conditions === null) return undefined;
  const { '@espalier/source': source, ...others } = conditions as Readonly<Record<string, unknown>>;
  if (typeof source === 'string') return join(folder, source);
  return [source, ...Object.values(others)]
    .map((each) => findSource(each, folder))
    .find((each) => each !== undefined);
}

function findInFile(path: string, name: string, owner: string): string | undefined {
  for (const statement of parseSource(path).statements) {
    const found = ts.isExportDeclaration(statement)
      ? findInExport(statement, path, name, owner)
      : declares(statement, name)
        ? owner
        : undefined;
    if (found) return found;
  }
  return undefined;
}

function findInExport(node: ts.ExportDeclaration, path: string, name: string, owner: string) {
  const module = node.moduleSpecifier;
  if (!module || !ts.isStringLiteral(module)) return undefined;
  const clause = node.exportClause;
  const element =
    clause && ts.isNamedExports(clause)
      ? clause.elements.find((each) => each.name.text === name)
      : undefined;
  if (clause && !element) return undefined;
  const inner = element ? (element.propertyName ?? element.name).text : name;
  const { text } = module;
  return text.startsWith('.')
    ? findInFile(resolveRelative(path, text), inner, owner)
    : element || exportsName(text, inner)
      ? findDefinition(text, inner)
      : undefined;
}

function exportsName(specifier: string, name: string): boolean {
  const entry = findEntry(specifier);
  return entry !== undefined && findInFile(entry, name, packageOf(specifier)) !== undefined;
}

function declares(statement: ts.Statement, name: string): boolean {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.some(({ name: each }) => each.getText() === name);
  }
  const declaration = statement as ts.Statement & { readonly name?: ts.Identifier };
  return declaration.name?.text === name;
}

/** The longest path down to a package that uses none: 1 for such a package. */
export function countFloors(packages: readonly PackageNode[]): ReadonlyMap<string, number> {
  const floors = new Map<string, number>();
  const known = new Map(packages.map((each) => [each.name, each]));
  const floor = (name: string, above: readonly string[]): number => {
    if (above.includes(name)) throw new Error(`a circle: ${[...above, name].join(' → ')}`);
    const below = [...known.get(name)!.used].map((each) => floor(each, [...above, name]));
    const height = floors.get(name) ?? 1 + Math.max(0, ...below);
    floors.set(name, height);
    return height;
  };
  for (const { name } of packages) floor(name, []);
  return floors;
}

/** The packages of this repository that a `tsconfig.json` references. */
export function listReferences(path: string): readonly string[] {
  const file = join(root, path, 'tsconfig.json');
  const { references = [] } = readJson<{ references?: readonly { path: string }[] }>(file);
  return references.map((each) => {
    const folder = join(root, path, each.path);
    return readJson<Manifest>(join(folder, 'package.json')).name;
  });
}

/** The packages of this repository that a `package.json` asks for. */
export function listDependencies(path: string): readonly string[] {
  const { dependencies, peerDependencies } = readJson<
    Partial<Record<'dependencies' | 'peerDependencies', Readonly<Record<string, string>>>>
  >(join(root, path, 'package.json'));
  return Object.keys({ ...dependencies, ...peerDependencies }).filter((name) =>
    manifests.has(name),
  );
}
