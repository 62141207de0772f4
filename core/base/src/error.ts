import { closest, distance } from 'fastest-levenshtein';
import { printValue } from './print.js';
import { printable } from './printable.js';

/** The parts of an error: texts for people, and `details` for programs. */
export interface ErrorParts {
  /** What is wrong, as a sentence without its full stop. */
  readonly problem: string;
  /** The value that is wrong; the message shows it in at most 200 characters. */
  readonly received?: unknown;
  /** What the reader can do, as whole sentences. */
  readonly fix?: string;
  /**
   * Values that a program can use, such as limits or names. The message does not contain them: a program
   * reads `code` and `details`, and never parses a text. The code that throws the error documents its fields.
   */
  readonly details?: Readonly<Record<string, unknown>>;
  /** The error that led to this one. */
  readonly cause?: unknown;
}

/** Where in a run an error arose; filled in by the trainer, which wraps every tap. */
export interface ErrorPlace {
  /** Id of the plugin. */
  readonly plugin: string;
  /** Name of the hook, or of another of the plugin's functions, such as `apply`. */
  readonly hook: string;
  /** Optimizer step, from 0; missing outside of steps. */
  readonly step?: number;
}

/** Told alike by all copies of this package in a process. */
const BRAND = Symbol.for('@espalier/base/error');

/**
 * The one error class of the framework. An error of another copy of this package is an instance too. `code` is stable
 * (`area/what`) and safe to test for; `message` names the plugin and hook, the problem, the value received and the way
 * out; names of others in it are printable.
 *
 * @example
 * throw new EspalierError('quantizer/bits', {
 *   problem: 'bits must be 8, 4, 3 or 2',
 *   received: 5,
 *   fix: 'Pass { bits: 4 }.',
 *   details: { allowed: [8, 4, 3, 2] },
 * });
 */
export class EspalierError extends Error {
  override readonly name = 'EspalierError';

  get [BRAND](): true {
    return true;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  constructor(
    readonly code: string,
    readonly parts: ErrorParts,
    readonly place?: ErrorPlace,
  ) {
    super(formatMessage(code, parts, place), { cause: parts.cause });
  }

  /**
   * The same error with the place it arose in. If it has a place already, that one stays: it is nearer.
   */
  withPlace(place: ErrorPlace): EspalierError {
    return this.place ? this : new EspalierError(this.code, this.parts, place);
  }

  /** The same error with a name before its problem, such as the file that it is about. */
  withPrefix(what: string): EspalierError {
    const parts = { ...this.parts, problem: `${what}: ${this.parts.problem}` };
    return new EspalierError(this.code, parts, this.place);
  }
}

function formatMessage(code: string, parts: ErrorParts, place?: ErrorPlace): string {
  const where = place
    ? `[plugin ${place.plugin}] ${place.hook}${place.step === undefined ? '' : ` at step ${place.step}`}: `
    : '';
  const received = 'received' in parts ? ` Received: ${formatReceived(parts.received)}.` : '';
  const fix = parts.fix ? ` ${parts.fix}` : '';
  const problem = /[.?!]$/.test(parts.problem) ? parts.problem : `${parts.problem}.`;
  return printable(`${where}${problem}${received}${fix} (${code})`);
}

function formatReceived(value: unknown): string {
  if (typeof value === 'string') return `'${truncate(value)}'`;
  if (typeof value === 'function') return value.name ? `function ${value.name}` : 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  const { shape, dtype, isDisposed } = value as Readonly<Record<string, unknown>>;
  if (Array.isArray(shape) && typeof dtype === 'string') {
    return `a ${isDisposed === true ? 'disposed ' : ''}${dtype} tensor of shape [${shape.join(', ')}]`;
  }
  return truncate(printValue(value));
}

function truncate(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/**
 * An error with its place in the run, for whatever a plugin's tap threw. An {@link EspalierError} keeps its
 * code, and its place if it has one; anything else becomes `plugin/threw` with the original as `cause`.
 *
 * @example
 * try {
 *   tap(context);
 * } catch (error) {
 *   throw attribute(error, { plugin: 'mixup', hook: 'batch', step: 12 });
 * }
 */
export function attribute(thrown: unknown, place: ErrorPlace): EspalierError {
  if (thrown instanceof EspalierError) return thrown.withPlace(place);
  const problem = thrown instanceof Error ? thrown.message : String(thrown);
  return new EspalierError('plugin/threw', { problem, cause: thrown }, place);
}

/**
 * A sentence that helps with a wrong name: `Did you mean 'x'?` when a candidate is near, else the list of
 * candidates.
 *
 * @example
 * suggest('adm', ['adam', 'sgd']); // "Did you mean 'adam'?"
 * suggest('lion', ['sgd', 'adam']); // 'Known: adam, sgd.'
 */
export function suggest(name: string, candidates: readonly string[]): string {
  if (candidates.length === 0) return 'There are none here.';
  const near = findNear(name, candidates);
  if (near !== undefined) return `Did you mean '${near}'?`;
  return `Known: ${[...candidates].sort().join(', ')}.`;
}

/**
 * The candidate that a name is a typing error of; undefined where none is near.
 *
 * @example
 * findNear('adm', ['adam', 'sgd']); // 'adam'
 */
export function findNear(name: string, candidates: readonly string[]): string | undefined {
  const cased = candidates.find((each) => each.toLowerCase() === name.toLowerCase());
  if (cased !== undefined || candidates.length === 0) return cased;
  const near = closest(name, candidates);
  const far = Math.max(2, Math.floor(name.length / 3));
  return distance(name, near) <= Math.min(far, name.length - 1) ? near : undefined;
}
