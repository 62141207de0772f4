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

  #hash(specifier: string): string {
    const parts = new Map<string, string>();
    const waiting = [this.#resolveFile(specifier)];
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      const name = relative(this.folder, file);
      if (parts.has(name)) continue;
      const { part, imports } = this.#read(file);
      parts.set(name, part);
      waiting.push(...imports);
    }
    return hashJson(Object.fromEntries(parts));
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

/** `name@version` of the package that holds a file. */
function findPackageVersion(file: string): string {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (!existsSync(manifest)) continue;
    const { name, version } = JSON.parse(readFileSync(manifest, 'utf8')) as Partial<
      Record<'name' | 'version', string>
    >;
    if (name !== undefined && version !== undefined) return `${name}@${version}`;
  }
  return file;
}
