import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What these tests read of a package.json. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly type?: string;
  readonly license?: string;
  readonly description?: string;
  readonly engines?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly files?: readonly string[];
  readonly publishConfig?: Readonly<Record<string, string>>;
  readonly dependencies?: Ranges;
  readonly devDependencies?: Ranges;
  readonly peerDependencies?: Ranges;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/** Version ranges by package name. */
export type Ranges = Readonly<Record<string, string>>;

/** One package of the repository. */
export interface Workspace {
  /** Absolute path. */
  readonly folder: string;
  readonly manifest: Manifest;
}

export const root = fileURLToPath(new URL('../../', import.meta.url));

export const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;

/** Every workspace that goes to the registry, by the globs of the root's package.json. */
export function publicWorkspaces(): readonly Workspace[] {
  const { workspaces } = readJson<{ workspaces: readonly string[] }>(join(root, 'package.json'));
  return workspaces
    .flatMap(foldersOf)
    .map((folder) => ({ folder, manifest: readJson<Manifest>(join(folder, 'package.json')) }))
    .filter(({ manifest }) => !manifest.private);
}

export const hasSources = ({ folder }: Workspace): boolean =>
  existsSync(join(folder, 'src/index.ts'));

function foldersOf(glob: string): readonly string[] {
  const folder = join(root, glob.replace(/\/\*$/, ''));
  const folders = glob.endsWith('/*')
    ? readdirSync(folder).map((name) => join(folder, name))
    : [folder];
  return folders.filter((path) => existsSync(join(path, 'package.json')));
}
