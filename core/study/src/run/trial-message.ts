import { checkRecord } from '../store/check-record.js';
import type { TrialEnd, TrialProgress } from './job.js';

/** What the process of a trial tells the one that runs the study. */
export interface TrialMessage {
  readonly progress?: TrialProgress;
  readonly end?: TrialEnd;
}

/** A message with the trial's id, so that messages of other code in its process are told apart. */
export const writeMessage = (id: string, message: TrialMessage): object => ({
  ...message,
  espalierTrial: id,
});

/**
 * Reads a message from the process of a trial. What has not its id is some other code's and says nothing; an end
 * that is none ends the trial as failed.
 */
export function readMessage(message: unknown, id: string): TrialMessage {
  if (typeof message !== 'object' || message === null) return {};
  const { espalierTrial, progress, end } = message as Readonly<Record<string, unknown>>;
  if (espalierTrial !== id) return {};
  if (end !== undefined) return { end: readEnd(end) };
  return isProgress(progress) ? { progress } : {};
}

function readEnd(end: unknown): TrialEnd {
  try {
    return checkRecord('end', end);
  } catch (error) {
    const message = `its process sent what is no result: ${(error as Error).message}`;
    return { status: 'failed', code: 'study/no-result', message };
  }
}

function isProgress(progress: unknown): progress is TrialProgress {
  try {
    checkRecord('progress', progress);
    return true;
  } catch {
    return false;
  }
}
