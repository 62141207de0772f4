import { EspalierError } from './error.js';
import { getClassName, isPlain } from './plain.js';
import { escapeJson } from './printable.js';

export { isPlain };
export { printValue } from './print.js';

/**
 * Plain data as JSON text that {@link readJson} gives back to the bit: NaN, infinities and −0 become
 * `{"$numberDouble":"NaN"}`, as in MongoDB's Extended JSON. Properties that are `undefined` are left
 * out; characters that a terminal would obey are escaped; a function with `toJSON`, such as a plugin's factory, is its
 * name.
 *
 * @param name What the value is, for errors: `json` makes them name `json.best.loss`.
 * @throws EspalierError `json/not-json` on what JSON cannot hold, naming its place: a Map, Set, Date
 * or object of a class, a function, bigint or symbol, `undefined` in an array, a cycle, more than 500 levels.
 * @example
 * writeJson({ best: -Infinity }); // '{"best":{"$numberDouble":"-Infinity"}}'
 */
export function writeJson(value: unknown, name = 'value', indent?: number): string {
  const plain = walk(value, name, { number: tagNumber, key: escapeKey });
  return escapeJson(JSON.stringify(plain, undefined, indent));
}

/**
 * Reads what {@link writeJson} wrote; other JSON is read as ever.
 *
 * @throws SyntaxError where it is no JSON, or nested deeper than 500 levels.
 * @example
 * readJson('{"loss":{"$numberDouble":"NaN"}}'); // { loss: NaN }
 */
export function readJson(text: string): unknown {
  return reviveAll(JSON.parse(text), 0);
}

/**
 * A deep copy of plain data.
 *
 * @throws EspalierError as {@link writeJson}.
 * @example
 * const own = copyJson(options, 'options');
 */
export function copyJson(value: unknown, name = 'value'): unknown {
  return walk(value, name, {});
}

/**
 * JSON with sorted keys: equal data give equal text, with 0 and −0 the same. Properties that are
 * `undefined` are left out; NaN and infinities are written as {@link writeJson} does.
 *
 * @throws EspalierError `json/not-json`, `json/forbidden-key`, naming the field.
 * @example
 * canonicalJson({ b: [1], a: undefined }); // '{"b":[1]}'
 */
export function canonicalJson(value: unknown, name = 'value'): string {
  const number = (n: number) => (n === 0 ? 0 : tagNumber(n));
  return JSON.stringify(walk(value, name, { ...SORTED, number, key: escapeKey }));
}

/**
 * The value as plain data with sorted keys. What has no JSON form (functions, objects of a class)
 * becomes `'inline'`, and `onInline` is called with the path of its field; without `onInline` it is refused.
 *
 * @param path Name of the value in errors and in the paths.
 * @throws EspalierError `json/not-json`, without `onInline`.
 * @example
 * toJson({ b: 1, a: () => 1 }, 'options', (path) => console.warn(path)); // { a: 'inline', b: 1 }
 */
export function toJson(value: unknown, path: string, onInline?: (path: string) => void): unknown {
  return walk(value, path, { ...SORTED, onInline });
}

/** Levels of objects and lists in each other that are written and read. */
const MAX_DEPTH = 500;
const TOO_DEEP = `nested deeper than ${MAX_DEPTH} levels`;

/** What a walk over plain data does with its parts. */
interface Walk {
  readonly sorted?: boolean;
  readonly number?: (value: number) => unknown;
  readonly key?: (key: string) => string;
  readonly forbidden?: readonly string[];
  readonly onInline?: (path: string) => void;
}

/** Keys by which data could reach the prototype of an object that takes them over. */
const SORTED = { sorted: true, forbidden: ['__proto__', 'constructor', 'prototype'] };

function walk(value: unknown, path: string, how: Walk, around: readonly unknown[] = []): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return how.number ? how.number(value) : value;
  const says = readToJsonName(value);
  if (says !== undefined && !how.onInline) return says;
  if (around.includes(value)) throw notJsonError(path, value, 'part of itself');
  if (around.length === MAX_DEPTH) throw notJsonError(path, value, TOO_DEEP);
  const walkPart = (part: unknown, key: string | number) =>
    walk(part, `${path}.${key}`, how, [...around, value]);
  if (Array.isArray(value) && !hasOddKeys(value)) return Array.from(value, walkPart);
  if (isPlain(value) && Object.getOwnPropertySymbols(value).length === 0) {
    return Object.fromEntries(
      listEntries(value, path, how).map(([key, part]) => [
        how.key ? how.key(key) : key,
        walkPart(part, key),
      ]),
    );
  }
  if (how.onInline && (typeof value === 'function' || typeof value === 'object')) {
    how.onInline(path);
    return 'inline';
  }
  throw notJsonError(path, value, describeValue(value));
}

/** What a function says that it is called in JSON: factories of plugins do. */
function readToJsonName(value: unknown): string | undefined {
  if (typeof value !== 'function') return undefined;
  return (value as { toJSON?: () => string | undefined }).toJSON?.();
}

function listEntries(value: Readonly<Record<string, unknown>>, path: string, how: Walk) {
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  const wrong = entries.find(([key]) => how.forbidden?.includes(key));
  if (wrong) throw jsonError('forbidden-key', `'${path}.${wrong[0]}' is not allowed`, 'Rename it.');
  return how.sorted ? entries.sort(([a], [b]) => (a < b ? -1 : 1)) : entries;
}

/** Whether an array has properties beside its elements, which JSON would drop. */
function hasOddKeys(value: readonly unknown[]): boolean {
  return Object.keys(value).some((key) => !/^\d+$/.test(key));
}

function describeValue(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint') return `${value}n, a bigint`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return 'an array with properties of its own';
  if (isPlain(value)) return 'an object with symbols as keys';
  return `an object of the class ${getClassName(value)}`;
}

const WAYS_OUT: Readonly<Record<string, string>> = {
  Map: 'Use Object.fromEntries(map) or [...map].',
  Set: 'Use [...set].',
  Date: 'Use date.toISOString() or date.getTime().',
};

function notJsonError(path: string, value: unknown, what: string): EspalierError {
  const known = WAYS_OUT[getClassName(value)];
  const fix = known ?? 'Use numbers, strings, booleans, null, arrays and plain objects.';
  const place = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  return jsonError('not-json', `'${place}' has no JSON form: it is ${what}`, fix);
}

function jsonError(what: string, problem: string, fix: string): EspalierError {
  return new EspalierError(`json/${what}`, { problem, fix });
}

const TAG = '$numberDouble';
const TAGGED: Readonly<Record<string, number>> = {
  NaN,
  Infinity,
  '-Infinity': -Infinity,
  '-0.0': -0,
};

function tagNumber(value: number): unknown {
  if (Object.is(value, -0)) return { [TAG]: '-0.0' };
  return Number.isFinite(value) ? value : { [TAG]: String(value) };
}

/** A key of the data that looks like the tag gets one `$` more. */
function escapeKey(key: string): string {
  return /^\$+numberDouble$/.test(key) ? `$${key}` : key;
}

/** Changes the value in place. */
function reviveAll(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth === MAX_DEPTH) throw new SyntaxError(`it is ${TOO_DEEP}`);
  for (const [key, part] of Object.entries(value)) {
    const revived = reviveAll(part, depth + 1);
    // Assigning to '__proto__' would change the prototype.
    if (revived !== part) Object.defineProperty(value, key, { value: revived });
  }
  return isPlain(value) ? revive(value) : value;
}

function revive(value: Readonly<Record<string, unknown>>): unknown {
  const entries = Object.entries(value);
  if (!entries.some(([key]) => key.startsWith('$') && key.endsWith(TAG))) return value;
  const text = value[TAG];
  if (entries.length === 1 && typeof text === 'string' && Object.hasOwn(TAGGED, text)) {
    return TAGGED[text];
  }
  return Object.fromEntries(
    entries.map(([key, part]) => [/^\$\$+numberDouble$/.test(key) ? key.slice(1) : key, part]),
  );
}
