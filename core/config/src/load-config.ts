import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { EspalierError, parseOptions, suggest } from '@espalier/core';
import type { PluginEntries } from '@espalier/core';
import { applySettings } from './apply-settings.js';
import type { Config } from './config.js';
import { Modules } from './modules.js';
import { readJsonFile, unreadableFile } from './read-json.js';
import { schema } from './schema.js';
import type { Settings } from './schema.js';

/** A configuration that was read and validated. */
export interface LoadedConfig {
  readonly file: string;
  /** The folder that its relative paths start from. */
  readonly folder: string;
  /** As written, with the functions and objects that `settings` does not have. */
  readonly written: Config;
  readonly settings: Settings;
  /** Plugins as set on the command line. */
  readonly overrides: PluginEntries;
  readonly modules: Modules;
}

/**
 * Reads a configuration in TypeScript, JavaScript or JSON.
 *
 * @param sets `path=value` from the command line.
 * @throws EspalierError `config/no-config`, `config/config`, `config/set`, `options/invalid`.
 */
export async function loadConfig(
  path: string,
  sets: readonly string[] = [],
): Promise<LoadedConfig> {
  const file = resolve(path);
  const modules = new Modules(file);
  return buildConfig(await readObject(file, modules), { file, modules, sets });
}

/** The place of a configuration that is part of another file. */
export interface ConfigPlace {
  /** Names it in errors; its relative paths start from the folder of this file. */
  readonly file: string;
  readonly modules?: Modules;
  /** `path=value`, as from the command line. */
  readonly sets?: readonly string[];
}

/**
 * Validates a configuration that is an object already.
 *
 * @throws EspalierError `config/set`, `options/invalid`.
 */
export function buildConfig(
  written: unknown,
  { file, modules = new Modules(file), sets = [] }: ConfigPlace,
): LoadedConfig {
  const { config, overrides } = applySettings(written, sets);
  const settings = parseOptions(basename(file), schema, replaceCodeByReferences(config));
  return { file, folder: dirname(file), written: config as Config, settings, overrides, modules };
}

/**
 * Reads the object in a JSON file, or the default export of a module.
 *
 * @throws EspalierError `config/no-config`, `config/config`.
 */
export async function readObject(
  file: string,
  modules: Modules,
): Promise<Readonly<Record<string, unknown>>> {
  await refuseMissing(file);
  const config =
    extname(file) === '.json' ? await readJsonFile(file) : await importDefault(file, modules);
  if (isPlain(config)) return config;
  throw new EspalierError('config/config', {
    problem: `${basename(file)} contains no configuration object`,
    received: config,
    fix: 'Write export default { … }.',
  });
}

async function refuseMissing(file: string): Promise<void> {
  const found = await stat(file).catch((cause: unknown) => {
    throw noConfigError(`there is no file ${file}`, [], cause);
  });
  if (!found.isDirectory()) return;
  const names = (await readdir(file)).filter((name) => /\.config\.([cm]?[jt]s|json)$/.test(name));
  throw noConfigError(`${file} is a folder`, names);
}

function noConfigError(problem: string, found: readonly string[], cause?: unknown): EspalierError {
  const what = found.length > 0 ? `, for example ${[...found].sort()[0]} in it` : '';
  return new EspalierError('config/no-config', {
    problem,
    fix: `Give the path of a .ts, .js or .json file${what}.`,
    cause,
  });
}

async function importDefault(file: string, modules: Modules): Promise<unknown> {
  const module = await modules.load(file).catch((cause: unknown) => {
    throw unreadableFile(file, cause);
  });
  if ('default' in module) return module['default'];
  if (extname(file) === '.cts') return { ...module }; // what module.exports is set to
  throw new EspalierError('config/config', {
    problem: `${basename(file)} has no default export`,
    fix: `${suggest('default', Object.keys(module))} Write export default { … }.`,
  });
}

const REFERENCES = ['model', 'preset', 'loss', 'optimizer'];

/** The configuration with `{ use: 'code' }` in place of code: data for the schema. */
function replaceCodeByReferences(config: unknown): unknown {
  if (!isPlain(config)) return config;
  const { plugins, data, ...rest } = config;
  return {
    ...Object.fromEntries(
      Object.entries(rest).map(([key, value]) => [
        key,
        REFERENCES.includes(key) ? wrapAsReference(value) : value,
      ]),
    ),
    // Plugins with factories are checked with the preset.
    ...(plugins !== undefined && !holdsCode(plugins) && { plugins }),
    ...(data !== undefined && { data: isPlain(data) ? mapValues(data, wrapAsReference) : data }),
  };
}

function wrapAsReference(value: unknown): unknown {
  if (typeof value === 'string') return { use: value };
  if (isPlain(value) && 'use' in value) return value;
  return isCode(value) ? { use: 'code' } : value;
}

/** Whether a field contains code or a preset instead of a name. */
export function isCode(value: unknown): boolean {
  if (isPlain(value) && 'use' in value) return false;
  return holdsCode(value) || (isPlain(value) && ('plugins' in value || 'extends' in value));
}

function holdsCode(value: unknown): boolean {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null) return false;
  return (!isPlain(value) && !Array.isArray(value)) || Object.values(value).some(holdsCode);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // A module loader may return objects of another realm or without a prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function mapValues(record: Record<string, unknown>, fn: (value: unknown) => unknown) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, fn(value)]));
}
