import type { Run } from '../run.js';
import { cutShortError, isAborted, refuseAborted } from './aborted.js';

/** Which plugins transform the model, and a signal that ends the transform between two taps. */
export interface TransformOptions {
  /** Default: all that have a transform. */
  readonly plugins?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Fires `transform` for some plugins. Optimizer state and plugins follow the changed structure, however
 * it ends. A run that a plugin stopped may train again afterwards.
 */
export async function transform(
  run: Run,
  { plugins, signal }: TransformOptions & { readonly plugins: readonly string[] },
): Promise<void> {
  const edits = run.structure.edits.length;
  const before = () => refuseAborted('session.transform', signal);
  before();
  run.phase = 'transform';
  run.signal = signal;
  run.stopReason = undefined;
  try {
    await run.taps.fireFor('transform', { clock: run.clock }, { plugins, before });
  } catch (error) {
    // The error that ended it is the one to see.
    warnOfError(run, () => follow(run));
    if (isAborted(error) && run.structure.edits.length > edits) run.cutShort = cutShortError();
    throw error;
  }
  plugins.forEach((id) => run.transformed.add(id));
  follow(run);
}

function follow(run: Run): void {
  run.phase = 'training';
  run.signal = undefined;
  run.followStructure();
}

function warnOfError(run: Run, work: () => void): void {
  try {
    work();
  } catch (second) {
    run.telemetry.emit('warning', { message: String(second) });
  }
}
