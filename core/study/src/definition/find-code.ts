import type { PluginFactory } from '@espalier/core';

/** What has no form as data, and where. */
export interface CodeValue {
  /** Dotted. */
  readonly path: string;
  readonly value: unknown;
  /** Whether it is data as far as can be seen, but lies too deep, or inside itself. */
  readonly tooDeep?: true;
}

/** Deeper than anybody writes; data that contain themselves are deeper than any limit. */
export const MOST_LEVELS = 200;

/** A plugin's factory that has the name of its export: JSON contains that name. */
const isNamed = (value: unknown): boolean =>
  typeof value === 'function' && typeof (value as Partial<PluginFactory>).toJSON?.() === 'string';

/** The first thing in a value that JSON cannot hold: a function, an object of a class, a cycle. */
export function findCode(value: unknown, path = '', level = 0): CodeValue | undefined {
  if (level > MOST_LEVELS) return { path, value, tooDeep: true };
  if (value === undefined || value === null || isNamed(value)) return undefined;
  if (typeof value !== 'object') {
    const isData = ['string', 'boolean', 'number'].includes(typeof value);
    return isData ? undefined : { path, value };
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  // A module loader may hand over objects of another realm or without a prototype.
  const plain =
    Array.isArray(value) || prototype === null || Object.getPrototypeOf(prototype) === null;
  if (!plain) return { path, value };
  for (const [key, inner] of Object.entries(value)) {
    const found = findCode(inner, path === '' ? key : `${path}.${key}`, level + 1);
    if (found) return found;
  }
  return undefined;
}
