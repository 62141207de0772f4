import type { z, ZodType, output } from 'zod';
import { EspalierError, suggest } from './error.js';
import { printValue } from './print.js';

/**
 * Parses options by their zod schema. The error names the field of every issue, and suggests a name for an
 * unknown key.
 *
 * @param owner Whose options these are, for the error: `plugin 'multi-exit'`.
 * @throws EspalierError `options/invalid`.
 * @example
 * const { rank } = parseOptions('lowRank', z.strictObject({ rank: z.int() }), { rank: 4 });
 */
export function parseOptions<S extends ZodType>(
  owner: string,
  schema: S,
  value: unknown,
): output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap(findClosest).map((issue) => {
    const field = issue.path.join('.');
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(schema, issue.path);
      return issue.keys
        .map((key) => `unknown option '${[...issue.path, key].join('.')}'. ${suggest(key, known)}`)
        .join(' ');
    }
    const message = issue.message.replace(/^Invalid input: /, '').replace(/, received [^,]+$/, '');
    return `${field ? `option '${field}'` : 'options'}: ${message}, received ${formatValue(at(value, issue.path))}`;
  });
  throw new EspalierError('options/invalid', { problem: `${owner}: ${problems.join('; ')}` });
}

type Issue = z.core.$ZodIssue;

/** Of a union, what is wrong with the branch that was meant: the one in which a key is misspelt. */
function findClosest(issue: Issue): readonly Issue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.find((branch) =>
    branch.some(({ code }) => code === 'unrecognized_keys'),
  );
  const placed = meant?.map((each) => ({ ...each, path: [...issue.path, ...each.path] }));
  return (placed ?? [issue]) as readonly Issue[];
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown>)?.[key],
    value,
  );
}

function formatValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'function') return 'a function';
  return printValue(value).slice(0, 120);
}

/** Keys that the (possibly nested) object schema knows at `path`; none where it cannot be told. */
function keysAt(schema: ZodType, path: readonly PropertyKey[]): string[] {
  const here = path.reduce<readonly Schema[]>(
    (schemas, key) => schemas.flatMap(alternatives).flatMap((each) => inside(each, key)),
    [schema as Schema],
  );
  return here.flatMap(alternatives).flatMap(({ shape }) => Object.keys(shape ?? {}));
}

/** What is used of zod's schemas: objects, arrays, records, unions, and wrappers of one of them. */
interface Schema {
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly element?: Schema;
  readonly valueType?: Schema;
  readonly options?: readonly Schema[];
  readonly in?: Schema;
  unwrap?(): Schema;
}

/** A schema without its wrappers; of a union, every branch. */
function alternatives(schema: Schema): readonly Schema[] {
  if (schema.shape || schema.element || schema.valueType) return [schema];
  if (schema.options) return schema.options.flatMap(alternatives);
  const inner = schema.unwrap?.() ?? schema.in;
  return inner ? alternatives(inner) : [schema];
}

function inside({ shape, element, valueType }: Schema, key: PropertyKey): readonly Schema[] {
  const found = shape ? shape[String(key)] : (element ?? valueType);
  return found ? [found] : [];
}
