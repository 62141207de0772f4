import type { ZodType, output } from 'zod';
import { EspalierError, suggest } from './error.js';

/**
 * Parses options by their schema. Every issue names its field; unknown keys get a suggestion.
 *
 * @param owner Names whose options these are, for the error: `plugin 'multi-exit'`.
 * @throws EspalierError `options/invalid`.
 */
export function parseOptions<S extends ZodType>(
  owner: string,
  schema: S,
  value: unknown,
): output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const field = issue.path.join('.');
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(schema, issue.path);
      return issue.keys
        .map((key) => `unknown option '${[...issue.path, key].join('.')}'. ${suggest(key, known)}`)
        .join(' ');
    }
    return `${field ? `option '${field}'` : 'options'}: ${issue.message}, received ${shown(at(value, issue.path))}`;
  });
  throw new EspalierError('options/invalid', { problem: `${owner}: ${problems.join('; ')}` });
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown>)?.[key],
    value,
  );
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'function') return 'a function';
  return (JSON.stringify(value) ?? String(value)).slice(0, 120);
}

/** Keys that the (possibly nested) object schema knows at `path`; none where it cannot be told. */
function keysAt(schema: ZodType, path: readonly PropertyKey[]): string[] {
  let here: unknown = schema;
  for (const key of ['', ...path]) {
    if (key !== '') here = shapeOf(here)?.[String(key)];
  }
  return Object.keys(shapeOf(here) ?? {});
}

function shapeOf(schema: unknown): Record<string, unknown> | undefined {
  let inner = schema as { shape?: Record<string, unknown>; unwrap?: () => unknown } | undefined;
  while (inner && !inner.shape && typeof inner.unwrap === 'function') {
    inner = inner.unwrap() as typeof inner;
  }
  return inner?.shape;
}
