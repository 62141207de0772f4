import { EspalierError } from '@espalier/core';
import type { Token } from '@espalier/core';
import type { Hypergradient } from './problem.js';
import { HYPERGRADIENT } from './tokens.js';

/** How to tell what may be bound to a token. */
interface Expected {
  readonly is: (value: unknown) => boolean;
  readonly fix: string;
}

const has = (value: unknown, ...methods: readonly string[]) =>
  methods.every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function');

export const SOURCE: Expected = {
  is: (value) => has(value, 'iterate'),
  fix: 'Bind a Source, or a function that returns one: arraySource({ x, y, batchSize }).',
};

export const OUTER_READINESS: Expected = {
  is: (value) => typeof (value as { ready?: unknown } | null)?.ready === 'boolean',
  fix: 'Bind a function that returns { ready: boolean }.',
};

export const TRANSFORM: Expected = {
  is: (value) => has(value, 'init', 'update'),
  fix: 'Bind an optimizer, or a function that returns one: adam({ learningRate: 1e-3 }).',
};

/** Of the virtual step, which may be made of the outer variables. */
export const INNER_TRANSFORM: Expected = {
  is: (value) => TRANSFORM.is(value) || typeof value === 'function',
  fix: 'Bind an optimizer, as sgd({ learningRate: 0.1 }), or a function from outer variables to one.',
};

export const ESTIMATOR: Expected = {
  is: (value) => typeof value === 'function',
  fix: "Bind a function that returns an estimator, as { use: () => unroll }, or set the option estimator: 'unroll'.",
};

interface Services {
  has(token: Token<unknown>): boolean;
  get<T>(token: Token<T>): T;
}

/**
 * What is bound to a token, if anything is.
 *
 * @throws EspalierError `bilevel/binding`.
 */
export function getService<T>(
  ctx: Services,
  token: Token<T>,
  { is, fix }: Expected,
): T | undefined {
  if (!ctx.has(token)) return undefined;
  const value = ctx.get(token);
  if (is(value)) return value;
  throw bindingError(`what is bound to '${token.name}' cannot be used`, value, fix);
}

/**
 * What an estimator returned.
 *
 * @throws EspalierError `bilevel/binding` where it is no hypergradient.
 */
export function checkHypergradient(found: Partial<Hypergradient> | undefined): Hypergradient {
  if (found?.outer && found.gradients) return found as Hypergradient;
  const problem = `what is bound to '${HYPERGRADIENT.name}' returned no { outer, gradients }`;
  throw bindingError(problem, found, ESTIMATOR.fix);
}

function bindingError(problem: string, received: unknown, fix: string): EspalierError {
  return new EspalierError('bilevel/binding', { problem, received, fix });
}
