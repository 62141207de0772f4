/** What is read of a package.json. */
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

/** The root of the repository. */
export const root: string;

export function readJson<T>(path: string): T;

/** Every workspace that goes to the registry, by the globs of the root's package.json. */
export function publicWorkspaces(): readonly Workspace[];

export function hasSources(workspace: Workspace): boolean;
