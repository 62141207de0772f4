import { EspalierError } from '@espalier/core';
import type { FitResult, Session } from '@espalier/core';
import { onInterrupt } from '../interrupt.js';
import { loadConfig } from '../load-config.js';
import type { LoadedConfig } from '../load-config.js';
import { observe } from '../observe.js';
import { loadCheckpoint, refuseEarlierRun } from '../resume.js';
import { withSession } from '../with-session.js';

/** Options of `espalier train`. */
export interface TrainOptions {
  readonly set: readonly string[];
  /** `true`: from the newest checkpoint; a string: from this file or folder. */
  readonly resume?: true | string;
  readonly quiet?: boolean;
}

/** Trains; gives back the exit code. */
export async function train(path: string, options: TrainOptions): Promise<number> {
  const loaded = await loadConfig(path, options.set);
  const epochs = epochsOf(loaded);
  const { resume } = options;
  const words = [path, ...options.set.flatMap((text) => ['--set', text])].map(quote);
  const resumeCommand = `npx espalier train ${words.join(' ')} --resume`;
  if (resume === undefined) await refuseEarlierRun(loaded, resumeCommand);
  return withSession(loaded, async (session) => {
    if (resume) await loadCheckpoint(session, loaded, resume === true ? undefined : resume);
    const observer = observe(session, loaded, options);
    const interrupt = onInterrupt(observer.say);
    try {
      const result = await session.fit({ epochs, signal: interrupt.signal });
      observer.say(outcome(result, session, loaded, resumeCommand));
      return result.status === 'aborted' ? interrupt.exitCode : 0;
    } finally {
      interrupt.stop();
      await observer.stop();
    }
  });
}

function outcome(
  { status, reason }: FitResult,
  { clock }: Session,
  { settings }: LoadedConfig,
  resumeCommand: string,
): string {
  if (status === 'completed') return `Done: ${clock.epoch} epochs, ${clock.step} steps.`;
  if (status === 'stopped') return `Stopped at step ${clock.step}: ${reason}.`;
  return settings.checkpoint
    ? `Saved at step ${clock.step}. Go on with:\n  ${resumeCommand}`
    : `Stopped at step ${clock.step}. Nothing is saved without checkpoint: { dir } in the configuration.`;
}

function epochsOf({ settings }: LoadedConfig): number {
  if (settings.epochs !== undefined) return settings.epochs;
  throw new EspalierError('cli/epochs', {
    problem: 'the configuration does not say for how long to train',
    fix: 'Add epochs: 10, or pass --epochs 10.',
  });
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
