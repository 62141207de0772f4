import { sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { EspalierError } from '@espalier/core';
import { createJiti } from 'jiti';
import type { Jiti } from 'jiti';
import { readJsonFile } from './read-json.js';

type Module = Readonly<Record<string, unknown>>;

/** Imports modules as the configuration itself would, TypeScript and JSON included. */
export class Modules {
  readonly #jiti: Jiti;

  constructor(private readonly configFile: string) {
    this.#jiti = createJiti(pathToFileURL(configFile).href);
  }

  /**
   * The URL of a module.
   *
   * @param specifier A package, or a path relative to the configuration or to the module `from`.
   * @throws EspalierError `config/backslash` for a path in a folder with a backslash in its name.
   */
  readonly resolve = (specifier: string, from?: string): string => {
    const file = from === undefined ? this.configFile : fileURLToPath(from);
    if (sep === '/' && specifier.startsWith('.') && file.includes('\\')) throw backslashError(file);
    return this.#jiti.esmResolve(specifier, from);
  };

  /** @param specifier As for `resolve`. */
  readonly load = async (specifier: string): Promise<Module> => {
    const url = this.resolve(specifier);
    if (url.endsWith('.json')) return { default: await readJsonFile(fileURLToPath(url)) };
    // Node's own import for JavaScript: one copy of every package, whoever imports it.
    if (!/\.[cm]?tsx?$/.test(url)) return (await import(url)) as Module;
    return this.#jiti.import<Module>(url);
  };
}

/** What finds modules takes it for a slash. */
function backslashError(file: string): EspalierError {
  return new EspalierError('config/backslash', {
    problem: `${file} has a backslash in its path, and modules beside it could not be found`,
    fix: 'Rename the file or the folder.',
  });
}
