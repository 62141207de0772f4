import type { TrialRecord } from '@espalier/study';
import { formatDuration } from '../format-duration.js';

/** Estimates the time that is left from the trials that have ended. */
export function estimateRemaining(atATime: number) {
  let [trials, waiting, unknown, known, seconds] = [0, 0, 0, 0, 0];
  return {
    /** The trials of a row; `undefined` for those that have not ended. */
    add(ends: readonly (TrialRecord | undefined)[]): void {
      const own = ends.flatMap((end) => (end && 'result' in end ? [end.result.cost.seconds] : []));
      const open = ends.filter((end) => end === undefined).length;
      trials += ends.length;
      waiting += open;
      known += own.length;
      const sum = own.reduce((total, each) => total + each, 0);
      if (own.length === 0) unknown += open;
      else seconds += (sum / own.length) * open;
    },
    text(): string {
      const head = `${trials} trials, ${waiting} to run, ${atATime} at a time`;
      if (waiting === 0 || known === 0) return `${head}.`;
      const measured = waiting - unknown;
      const mean = measured > 0 ? seconds / measured : 0;
      const total = (seconds + mean * unknown) / Math.min(atATime, waiting);
      return mean === 0 ? `${head}.` : `${head}: about ${formatDuration(total)}.`;
    },
  };
}
