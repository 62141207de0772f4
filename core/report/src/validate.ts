import { z } from 'zod';

/** Thrown when the input of a report is wrong. `issues` has one line for each wrong field. */
export class ReportError extends Error {
  override readonly name = 'ReportError';
  readonly code = 'report/invalid-input';

  constructor(
    what: string,
    readonly issues: readonly string[],
  ) {
    super(`${what} is not valid:\n${issues.map((issue) => `  - ${issue}`).join('\n')}`);
  }
}

function describeIssue(issue: z.core.$ZodIssue, input: unknown): string {
  const where = z.core.toDotPath(issue.path);
  const message = issue.message.replace(/^Invalid (input|option): /, '');
  const what = where ? `${where}: ${message}` : message;
  // The texts of these two name what was received.
  if (issue.code === 'invalid_type' || issue.code === 'unrecognized_keys') return what;
  const value = issue.path.reduce<unknown>(
    (node, key) => (node as Readonly<Record<PropertyKey, unknown>>)?.[key],
    input,
  );
  return `${what} (received ${shorten(value)})`;
}

function shorten(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) {
    return `an object with the keys ${Object.keys(value).join(', ') || '(none)'}`;
  }
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : String(value);
}

/**
 * The input, checked.
 * @throws {@link ReportError} naming every wrong field by its path, such as
 * `sections[0].blocks[2].columns[1].key`.
 */
export function validate<T extends z.ZodType>(what: string, schema: T, input: unknown): z.infer<T> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw new ReportError(
    what,
    result.error.issues.map((issue) => describeIssue(issue, input)),
  );
}
