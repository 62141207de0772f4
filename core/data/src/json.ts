import { EspalierError } from '@espalier/errors';

/**
 * JSON with sorted keys: equal data give equal text. Properties that are `undefined` are left out.
 *
 * @throws EspalierError `json/not-json`, `json/forbidden-key`, naming the field.
 * @example
 * canonicalJson({ b: [1], a: undefined }); // '{"b":[1]}'
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(toJson(value, 'value'));
}

/** Keys by which data could reach the prototype of an object that takes them over. */
const FORBIDDEN = ['__proto__', 'constructor', 'prototype'];

/**
 * The value as plain data with sorted keys. What has no JSON form (functions, objects of a class)
 * becomes `'inline'` and its field is reported to `onInline`; without that it is refused.
 */
export function toJson(value: unknown, path: string, onInline?: (path: string) => void): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (Number.isFinite(value)) return value;
  const inner = (part: unknown, key: string | number) => toJson(part, `${path}.${key}`, onInline);
  if (Array.isArray(value)) return value.map(inner);
  if (isPlain(value)) {
    const entries = Object.entries(value).filter(([, part]) => part !== undefined);
    const wrong = entries.find(([key]) => FORBIDDEN.includes(key));
    if (wrong) throw refusal('forbidden-key', `'${path}.${wrong[0]}' is not allowed`, 'Rename it.');
    const sorted = entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([key, part]) => [key, inner(part, key)]));
  }
  if (onInline && (typeof value === 'function' || typeof value === 'object')) {
    onInline(path);
    return 'inline';
  }
  const shown = typeof value === 'function' ? 'a function' : String(value);
  throw refusal('not-json', `'${path}' has no JSON form: ${shown}`, 'Use plain, finite values.');
}

function refusal(what: string, problem: string, fix: string): EspalierError {
  return new EspalierError(`json/${what}`, { problem, fix });
}

/** Whether it is an object literal or parsed JSON, not an object of a class. */
export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
