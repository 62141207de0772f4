import { getClassName, isPlain } from './plain.js';

/**
 * Any value for people to read: as JSON, with NaN, infinities, −0, bigints and `undefined` as they
 * are, and the class of what has no such form. Parts in more than 100 others are left out. Never throws.
 *
 * @example
 * printValue({ limit: Infinity, seen: new Map() }); // '{"limit":Infinity,"seen":Map}'
 */
export function printValue(value: unknown, indent = 0): string {
  return print(value, { indent, depth: 0, around: [] });
}

/** What is deeper is left out. */
const MAX_DEPTH = 100;

interface Place {
  readonly indent: number;
  readonly depth: number;
  readonly around: readonly unknown[];
}

function print(value: unknown, place: Place): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'function';
  if (typeof value !== 'object' || value === null)
    return Object.is(value, -0) ? '-0' : String(value);
  if (place.around.includes(value)) return 'cycle';
  if (place.depth === MAX_DEPTH) return '…';
  const { indent, depth, around } = place;
  const inside = { indent, depth: depth + 1, around: [...around, value] };
  if (Array.isArray(value)) {
    return list(
      '[',
      Array.from(value, (part) => print(part, inside)),
      ']',
      place,
    );
  }
  if (!isPlain(value)) return getClassName(value);
  const colon = indent > 0 ? ': ' : ':';
  const parts = Object.entries(value)
    .filter(([, part]) => part !== undefined)
    .map(([key, part]) => `${JSON.stringify(key)}${colon}${print(part, inside)}`);
  return list('{', parts, '}', place);
}

function list(open: string, parts: readonly string[], close: string, { indent, depth }: Place) {
  if (indent === 0 || parts.length === 0) return `${open}${parts.join(',')}${close}`;
  const line = (level: number) => `\n${' '.repeat(indent * level)}`;
  return `${open}${line(depth + 1)}${parts.join(`,${line(depth + 1)}`)}${line(depth)}${close}`;
}
