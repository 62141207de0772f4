import type { ContextParts } from './context.js';
import type { Run } from './run.js';

/**
 * Fires `transform` for some plugins; slots and plugins follow what they changed, however it ends.
 * A stop ends where it begins: what it makes is to be trained.
 */
export async function transform(
  parts: ContextParts,
  run: Run,
  plugins: readonly string[],
): Promise<void> {
  parts.phase = 'transform';
  run.stopReason = undefined;
  try {
    await run.taps.fireFor('transform', { clock: run.clock }, plugins);
  } catch (error) {
    // The error that ended it is the one to see.
    warnOfError(run, () => follow(parts, run));
    throw error;
  }
  plugins.forEach((id) => run.transformed.add(id));
  follow(parts, run);
}

function follow(parts: ContextParts, run: Run): void {
  parts.phase = undefined;
  run.followStructure();
}

function warnOfError(run: Run, work: () => void): void {
  try {
    work();
  } catch (second) {
    run.telemetry.emit('warning', { message: String(second) });
  }
}
