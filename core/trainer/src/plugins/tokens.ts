declare const service: unique symbol;

/**
 * A typed name for one thing that can be swapped: what one plugin provides and others get, without
 * either importing the other. Whatever one might ablate is bound to a token.
 */
export interface Token<T> {
  readonly name: string;
  readonly [service]?: T;
}

/**
 * Makes a token. Two tokens of one name are the same token.
 *
 * @example
 * const TEACHER = createToken<Teacher>('teacher');
 * ctx.provide(TEACHER, () => new Teacher());
 */
export function createToken<T>(name: string): Token<T> {
  return { name };
}
