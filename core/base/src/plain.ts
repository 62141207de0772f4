/**
 * Whether a value is an object literal or parsed JSON, and not an array or an object of a class.
 *
 * @example
 * isPlain({ a: 1 }); // true
 * isPlain(new Map()); // false
 */
export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** The name of an object's class, for messages; `Object` where it has none. */
export function getClassName(value: unknown): string {
  const { constructor } = Object(value) as { readonly constructor?: { readonly name?: unknown } };
  const name = constructor?.name;
  return typeof name === 'string' && name !== '' ? name : 'Object';
}
