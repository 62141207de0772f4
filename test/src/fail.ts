/** A conformance check that found something. Its message says what the author has to change. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError';

  constructor(
    readonly check: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${check}: ${problem}`, options);
  }
}

/** Fails the check unless `ok`. */
export function demand(ok: boolean, check: string, problem: string): void {
  if (!ok) throw new ConformanceError(check, problem);
}
