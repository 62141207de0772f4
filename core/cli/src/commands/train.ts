import { quoteWord } from '@espalier/base';
import { loadConfig, listStages, openStore, withSession } from '@espalier/config';
import type { LoadedConfig } from '@espalier/config';
import type { FitResult, Session } from '@espalier/core';
import { catchInterrupt } from '../interrupt.js';
import { startLogging } from '../observe.js';
import { loadCheckpoint, requireResume } from '../resume.js';

/** Options of `espalier train`. */
export interface TrainOptions {
  readonly set: readonly string[];
  /** `true`: from the newest checkpoint; a string: from this file or folder. */
  readonly resume?: true | string;
  /** With `resume`: differences to the checkpoint's run that are accepted. */
  readonly allowMismatch?: readonly string[];
  /** With `resume`: train on though a plugin stopped the run. */
  readonly goOn?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Trains; returns the exit code. */
export async function train(path: string, options: TrainOptions): Promise<number> {
  const loaded = await loadConfig(path, options.set);
  const stages = listStages(loaded);
  const { resume, allowMismatch, goOn } = options;
  const words = [path, ...options.set.flatMap((text) => ['--set', text])].map(quoteWord);
  const resumeCommand = `npx espalier train ${words.join(' ')} --resume`;
  if (resume === undefined) await requireResume(loaded, resumeCommand);
  return withSession(loaded, async (session) => {
    if (resume) {
      await loadCheckpoint(session, loaded, {
        path: resume === true ? undefined : resume,
        allowMismatch,
        trains: true,
      });
    }
    const observer = startLogging(session, loaded, options);
    const interrupt = catchInterrupt(observer.say);
    try {
      const result = await session.runStages(stages, { goOn, signal: interrupt.signal });
      observer.say(describeEnd(result, session, loaded, resumeCommand));
      return result.status === 'aborted' ? interrupt.exitCode : 0;
    } finally {
      interrupt.stop();
      await observer.stop();
    }
  });
}

function describeEnd(
  { status, reason }: FitResult,
  { clock }: Session,
  loaded: LoadedConfig,
  resumeCommand: string,
): string {
  const saves = loaded.settings.checkpoint !== undefined;
  if (status === 'aborted' && saves) {
    return `Saved at step ${clock.step}. Go on with:\n  ${resumeCommand}`;
  }
  const where = saves
    ? `Checkpoints: ${openStore(loaded).location}`
    : 'Nothing is saved without checkpoint: { dir } in the configuration.';
  if (status === 'completed') {
    return `Done: ${pluralize(clock.epoch, 'epoch')}, ${pluralize(clock.step, 'step')}. ${where}`;
  }
  const goOn = saves ? `\nTrain on with:\n  ${resumeCommand} --go-on` : '';
  return `Stopped at step ${clock.step}: ${reason}. ${where}${goOn}`;
}

function pluralize(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
