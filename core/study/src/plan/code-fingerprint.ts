import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Modules } from '@espalier/config';
import { EspalierError } from '@espalier/core';
import { parseSync, Visitor } from 'oxc-parser';
import type { Program } from 'oxc-parser';
import { hashJson } from './hash-json.js';

/**
 * What the modules of a configuration are made of: installed packages by name and version, files of
 * one's own (linked packages too) by content, with all that they import.
 */
export class CodeFingerprints {
  readonly #modules: Modules;
  /** File → its own part and what it imports. */
  readonly #files = new Map<string, { readonly part: string; readonly imports: string[] }>();
  readonly #known = new Map<string, string>();

  constructor(
    modules: Modules,
    private readonly folder: string,
  ) {
    this.#modules = modules;
  }

  /**
   * One hash for a module and its imports.
   *
   * @throws EspalierError `study/code` where it cannot be found or read.
   */
  fingerprint(specifier: string): string {
    const known = this.#known.get(specifier) ?? this.#hash(specifier);
    this.#known.set(specifier, known);
    return known;
  }

  /** Those of several modules, by name. */
  fingerprints(specifiers: readonly string[]): Record<string, string> {
    return Object.fromEntries(specifiers.map((each) => [each, this.fingerprint(each)]));
  }

  /** What modules are made of: file → hash of its content, or version of its package. */
  files(specifiers: readonly string[]): Record<string, string> {
    return Object.assign({}, ...specifiers.map((each) => this.#parts(each))) as Record<
      string,
      string
    >;
  }

  #hash(specifier: string): string {
    return hashJson(this.#parts(specifier));
  }

  #parts(specifier: string): Record<string, string> {
    const parts: Record<string, string> = {};
    const seen = new Set<string>();
    const waiting = [this.#resolveFile(specifier)];
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      if (seen.has(file)) continue;
      seen.add(file);
      const { part, imports } = this.#read(file);
      parts[this.#nameFile(file, part)] = part;
      waiting.push(...imports);
    }
    return parts;
  }

  /** A name that is the same wherever the files are: in the base's folder, in a package, or a package. */
  #nameFile(file: string, part: string): string {
    if (file.includes(INSTALLED)) return part;
    const own = relative(this.folder, file);
    if (!own.startsWith('..')) return toSlashes(own);
    const found = findPackage(file);
    return toSlashes(found ? join(found.name, relative(found.folder, file)) : own);
  }

  #read(file: string) {
    const known =
      this.#files.get(file) ?? readModule(file, (each) => this.#resolveFile(each, file));
    this.#files.set(file, known);
    return known;
  }

  #resolveFile(specifier: string, from?: string): string {
    try {
      const url = this.#modules.resolve(specifier, from && pathToFileURL(from).href);
      return realpathSync(fileURLToPath(url));
    } catch (cause) {
      throw new EspalierError('study/code', {
        problem: `${from ? `${from} imports '${specifier}', which` : `'${specifier}'`} cannot be found`,
        fix: 'Check the name; a package must be installed.',
        cause,
      });
    }
  }
}

const INSTALLED = `${sep}node_modules${sep}`;

function readModule(file: string, resolve: (specifier: string) => string) {
  if (file.includes(INSTALLED)) return { part: findPackageVersion(file), imports: [] };
  const text = readFileSync(file, 'utf8');
  const imports = /\.[cm]?[jt]sx?$/.test(file) ? listImports(file, text) : [];
  const own = imports.filter((specifier) => !isBuiltin(specifier)).map(resolve);
  return { part: hashJson(text), imports: own };
}

/** Specifiers of static imports and re-exports, and of dynamic imports and `require` that name one. */
function listImports(file: string, text: string): string[] {
  const parsed = parseSync(file, text);
  const { module } = parsed;
  const dynamic = module.dynamicImports.flatMap(({ moduleRequest: { start, end } }) => {
    const written = text.slice(start, end);
    return /^(['"])[^'"`]+\1$/.test(written) ? [written.slice(1, -1)] : [];
  });
  const reExported = module.staticExports.flatMap(({ entries }) =>
    entries.flatMap(({ moduleRequest, isType }) =>
      moduleRequest && !isType ? [moduleRequest.value] : [],
    ),
  );
  const imported = module.staticImports
    .filter(({ entries }) => entries.length === 0 || entries.some(({ isType }) => !isType))
    .map(({ moduleRequest }) => moduleRequest.value);
  const required = text.includes('require(') ? listRequires(parsed.program) : [];
  return [...new Set([...imported, ...reExported, ...dynamic, ...required])];
}

function listRequires(program: Program): string[] {
  const found: string[] = [];
  new Visitor({
    CallExpression({ callee, arguments: [named] }) {
      if (callee.type !== 'Identifier' || callee.name !== 'require') return;
      if (named?.type === 'Literal' && typeof named.value === 'string') found.push(named.value);
    },
  }).visit(program);
  return found;
}

const toSlashes = (path: string): string => path.replaceAll(sep, '/');

/** `name@version` of the package that holds a file. */
function findPackageVersion(file: string): string {
  const found = findPackage(file, ({ version }) => version !== undefined);
  return found ? `${found.name}@${found.version}` : file;
}

type PackageFile = Partial<Record<'name' | 'version', string>>;

/** The nearest package with a name. */
function findPackage(file: string, suits: (found: PackageFile) => boolean = () => true) {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (!existsSync(manifest)) continue;
    const found = JSON.parse(readFileSync(manifest, 'utf8')) as PackageFile;
    const { name, version } = found;
    if (name !== undefined && suits(found)) return { name, version, folder };
  }
  return undefined;
}
