import { suggest } from '@espalier/base';
import { presetError } from './preset.js';

type Module = Readonly<Record<string, unknown>>;

/** Where `'@scope/pkg#export'` is looked up. */
export interface LoadFrom {
  /** Imports a module by its specifier; default: dynamic import, as seen from this package. */
  readonly load?: (specifier: string) => Promise<Module>;
  /** The modules that may be named, where none can be imported at run time (a bundled page). */
  readonly modules?: Readonly<Record<string, Module>>;
}

/**
 * Imports the export that a `'@scope/pkg#export'` reference names; other values are returned unchanged.
 *
 * @throws EspalierError `preset/not-installed`, `preset/load`, `preset/unknown-module`,
 * `preset/unknown-export`.
 * @example
 * const byot = await loadExport('@espalier/preset-baselines#byot', {});
 */
export async function loadExport(reference: unknown, from: LoadFrom): Promise<unknown> {
  if (typeof reference !== 'string') return reference;
  const [specifier = '', name = 'default'] = reference.split('#', 2);
  const module = await loadModule(specifier, from);
  if (Object.hasOwn(module, name)) return module[name];
  const fix = suggest(name, Object.keys(module));
  throw presetError('unknown-export', `'${specifier}' exports no '${name}'`, fix);
}

async function loadModule(specifier: string, { load, modules }: LoadFrom): Promise<Module> {
  if (!load && modules) {
    if (Object.hasOwn(modules, specifier)) return modules[specifier]!;
    const fix = `${suggest(specifier, Object.keys(modules))} Add it to modules.`;
    throw presetError('unknown-module', `'${specifier}' is not among the modules supplied`, fix);
  }
  try {
    return await (load ?? importModule)(specifier);
  } catch (error) {
    throw loadError(specifier, error);
  }
}

function importModule(specifier: string): Promise<Module> {
  if (/^[./]/.test(specifier)) throw new Error('a relative path needs { load: (s) => import(s) }');
  // What it names is known at run time only, so bundlers are told to leave it alone.
  return import(/* @vite-ignore */ /* webpackIgnore: true */ specifier) as Promise<Module>;
}

/** A page cannot look a package up by its name, whatever was installed before it was bundled. */
const IN_A_PAGE =
  'A page cannot import a package by its name. Import it where you call createSession, and write use: ' +
  'with the factory itself (a preset: call its function), or hand it over in modules.';

function inNode(): boolean {
  const { process } = globalThis as { process?: { versions?: { node?: string } } };
  return process?.versions?.node !== undefined;
}

/** Node gives an error of its own code where it finds no module; a page throws a TypeError. */
function isNotFound(cause: unknown): boolean {
  if (!inNode()) return cause instanceof TypeError;
  const { code } = (cause ?? {}) as { readonly code?: unknown };
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}

function loadError(specifier: string, cause: unknown) {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (isNotFound(cause) && !/^[./]/.test(specifier)) {
    const pkg = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
    const fix = inNode()
      ? `A name has a package and an export: '@espalier/preset-baselines#byot'. If the name is right: npm install ${pkg}`
      : IN_A_PAGE;
    const problem = `'${specifier}' cannot be found, or something that it imports: ${message}`;
    return presetError('not-installed', problem, fix, cause);
  }
  const fix = 'Import it by itself to see more.';
  return presetError('load', `'${specifier}' cannot be loaded: ${message}`, fix, cause);
}
