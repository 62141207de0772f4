import type { ReportedMetric } from '../definition/load-study.js';
import type { RecordedTuning } from '../plan/study-plan.js';
import { chooseCandidate, meanMetric } from '../plan/tuning.js';
import type { Lookup } from '../plan/tuning.js';
import { hasResult } from '../store/records.js';
import type { TuningFinding } from './findings.js';

/** How a row was tuned, and what that cost. */
export function tuningFindings(
  { row, draws, seeds, epochs }: RecordedTuning,
  primary: ReportedMetric,
  lookup: Lookup,
): TuningFinding {
  const ids = new Set(draws.flatMap(({ trials }) => trials.map(({ id }) => id)));
  const ends = [...ids].map(lookup);
  const chosen = chooseCandidate(draws, primary, lookup);
  const costs = ends.flatMap((end) => (end && hasResult(end) ? [end.result.cost] : []));
  const cpu = costs.map(({ cpuSeconds }) => cpuSeconds);
  return {
    row,
    draws: draws.map(({ sets, trials }) => {
      return { sets, mean: meanMetric(trials, primary.name, lookup) };
    }),
    chosen: chosen < 0 || ends.some((end) => end === undefined) ? null : chosen,
    seeds,
    epochs,
    trials: ends.filter(Boolean).length,
    seconds: costs.reduce((sum, { seconds }) => sum + seconds, 0),
    cpuSeconds: cpu.every((each) => typeof each === 'number')
      ? cpu.reduce((sum, each) => sum + each, 0)
      : null,
  };
}
