import { EspalierError } from '@espalier/base';

/**
 * Ends work whose signal is aborted.
 *
 * @throws EspalierError `session/aborted`, with the signal's reason as its cause.
 */
export function refuseAborted(what: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(what, signal);
}

/** The error for work that its signal ended before it was done. */
export function abortedError(what: string, signal: AbortSignal): EspalierError {
  return new EspalierError('session/aborted', {
    problem: `${what} was ended by its signal`,
    cause: signal.reason,
  });
}

/** Whether an error says that a signal ended the work. */
export function isAborted(error: unknown): boolean {
  return error instanceof EspalierError && error.code === 'session/aborted';
}

/** The error for a run whose model is between two structures. */
export function cutShortError(): EspalierError {
  return new EspalierError('session/cut-short', {
    problem:
      'the transform of this run was ended in its middle: its model is neither the old nor the new one',
    fix: 'Dispose this session; a new one loads the checkpoint from before the transform, which is done again.',
  });
}
