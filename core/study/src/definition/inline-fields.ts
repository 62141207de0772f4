/** Dotted paths of what is not plain data: functions, objects of a class. */
export function inlineFields(value: unknown, path = ''): readonly string[] {
  if (typeof value === 'function') return [path];
  if (typeof value !== 'object' || value === null) return [];
  const prototype: unknown = Object.getPrototypeOf(value);
  // A module loader may hand over objects of another realm or without a prototype.
  const plain =
    Array.isArray(value) || prototype === null || Object.getPrototypeOf(prototype) === null;
  if (!plain) return [path];
  return Object.entries(value).flatMap(([key, inner]) =>
    inlineFields(inner, path === '' ? key : `${path}.${key}`),
  );
}
