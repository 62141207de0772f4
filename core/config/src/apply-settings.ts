import { EspalierError, readJson } from '@espalier/core';
import type { PluginEntries, PluginEntry } from '@espalier/core';

type Data = Readonly<Record<string, unknown>>;

/** A configuration with the settings of the command line. */
export interface AdjustedConfig {
  readonly config: unknown;
  /** Settings under `plugins`, kept apart so that `inspect` can show where they come from. */
  readonly overrides: PluginEntries;
}

/**
 * Sets values by dotted path; each is read as JSON, or else as a string.
 *
 * @throws EspalierError `config/set`.
 */
export function applySettings(config: unknown, sets: readonly string[]): AdjustedConfig {
  return sets.reduce<AdjustedConfig>(applySetting, { config, overrides: {} });
}

function applySetting({ config, overrides }: AdjustedConfig, text: string): AdjustedConfig {
  const [, path, written] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (path === undefined || written === undefined) {
    throw new EspalierError('config/set', {
      problem: '--set takes path=value',
      received: text,
      fix: 'For example --set optimizer.options.learningRate=0.01.',
    });
  }
  const keys = path.split('.');
  const value = parseValue(written);
  if (keys[0] !== 'plugins' || keys.length < 2) {
    return { config: setValue(config, keys, value, text), overrides };
  }
  const own = (config as { readonly plugins?: PluginEntries }).plugins ?? {};
  return { config, overrides: addOverride(overrides, own, keys.slice(1), value, text) };
}

function addOverride(
  overrides: PluginEntries,
  own: PluginEntries,
  [id = '', field, key, ...rest]: readonly string[],
  value: unknown,
  text: string,
): PluginEntries {
  if (field === undefined) return { ...overrides, [id]: value as false | PluginEntry };
  const entry = (overrides[id] || {}) as Data;
  if (key === undefined) return { ...overrides, [id]: { ...entry, [field]: value } };
  const inherited = ((own[id] || {}) as Data)[field] as Data | undefined;
  const fields = entry[field] as Data | undefined;
  const start = fields?.[key] ?? inherited?.[key];
  const changed = { ...fields, [key]: setValue(start, rest, value, text) };
  return { ...overrides, [id]: { ...entry, [field]: changed } };
}

/** A copy of `start` with the value at a path; objects along the path are copied, not changed. */
function setValue(
  start: unknown,
  [key, ...rest]: readonly string[],
  value: unknown,
  text: string,
): unknown {
  if (key === undefined) return value;
  const data = start ?? {};
  const prototype: unknown = Object.getPrototypeOf(data);
  if (typeof data === 'object' && (prototype === Object.prototype || Array.isArray(data))) {
    const inner = setValue((data as Data)[key], rest, value, text);
    if (!Array.isArray(data)) return { ...data, [key]: inner };
    return Object.assign([...(data as unknown[])], { [key]: inner });
  }
  throw new EspalierError('config/set', {
    problem: `--set ${text} goes through something that is not plain data, at '${key}'`,
    received: data,
    fix: 'Set the whole field, or change the configuration.',
  });
}

function parseValue(written: string): unknown {
  try {
    return readJson(written);
  } catch {
    return written;
  }
}
