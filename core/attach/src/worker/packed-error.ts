import { EspalierError } from '@espalier/base';
import type { ErrorPlace } from '@espalier/base';

/** An error as plain data, which can be sent from a worker to a page. */
export interface PackedError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  /** What an {@link EspalierError} holds besides. */
  readonly named?: NamedParts;
  readonly cause?: PackedError;
}

interface NamedParts {
  readonly code: string;
  /** Problem and received value, as the message has them. */
  readonly problem: string;
  readonly fix?: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly place?: ErrorPlace;
}

/** What was thrown, as data; causes included. */
export function packError(thrown: unknown): PackedError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown) };
  const { name, message, stack, cause } = thrown;
  return {
    name,
    message,
    stack,
    ...(thrown instanceof EspalierError && { named: packParts(thrown) }),
    ...(cause !== undefined && { cause: packError(cause) }),
  };
}

function packParts({ code, parts, place }: EspalierError): NamedParts {
  const { fix, details = {} } = parts;
  const said = { ...parts, fix: undefined, cause: undefined };
  const problem = new EspalierError(code, said).message.slice(0, -` (${code})`.length);
  return { code, problem, fix, details: withoutUnclonable(details), place };
}

function withoutUnclonable(details: Readonly<Record<string, unknown>>) {
  return Object.fromEntries(Object.entries(details).filter(([, value]) => isClonable(value)));
}

function isClonable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

/**
 * The error that the page throws: code, place, text and details of the worker's, and its stack in
 * `details.stack`. What was no {@link EspalierError} gets the code `attach/worker-threw`.
 */
export function unpackError(packed: PackedError): EspalierError {
  const { name, message, stack, named } = packed;
  const cause = packed.cause && unpackCause(packed.cause);
  if (!named) {
    return new EspalierError('attach/worker-threw', {
      problem: `the training in the worker threw ${name}: ${message}`,
      fix: 'details.stack shows where in the worker.',
      details: { name, stack },
      cause,
    });
  }
  const { code, problem, fix, details, place } = named;
  return new EspalierError(code, { problem, fix, details: { ...details, stack }, cause }, place);
}

function unpackCause(packed: PackedError): Error {
  if (packed.named) return unpackError(packed);
  const { name, message, stack } = packed;
  const cause = packed.cause && unpackCause(packed.cause);
  return Object.assign(new Error(message, { cause }), { name, stack });
}
