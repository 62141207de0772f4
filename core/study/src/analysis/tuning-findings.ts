import type { LoadedStudy } from '../definition/load-study.js';
import { chooseCandidate, meanMetric } from '../plan/tuning.js';
import type { Lookup, TunedRow } from '../plan/tuning.js';
import { hasResult } from '../store/records.js';
import type { TuningFinding } from './findings.js';

/** How a row was tuned, and what that cost. */
export function tuningFindings(
  { row, tried, candidates }: TunedRow,
  { metrics: [primary], tuningSeeds: seeds }: LoadedStudy,
  lookup: Lookup,
): TuningFinding {
  const ids = new Set(candidates.flatMap(({ trials }) => trials.map(({ id }) => id)));
  const ends = [...ids].map(lookup);
  const chosen = chooseCandidate(candidates, primary!, lookup);
  const costs = ends.flatMap((end) => (end && hasResult(end) ? [end.result.cost] : []));
  const cpu = costs.map(({ cpuSeconds }) => cpuSeconds);
  return {
    row: row.name,
    draws: candidates.map(({ sets, trials }) => {
      return { sets, mean: meanMetric(trials, primary!.name, lookup) };
    }),
    chosen: chosen < 0 || ends.some((end) => end === undefined) ? null : chosen,
    seeds,
    epochs: tried.budget.epochs,
    trials: ends.filter(Boolean).length,
    seconds: costs.reduce((sum, { seconds }) => sum + seconds, 0),
    cpuSeconds: cpu.every((each) => typeof each === 'number')
      ? cpu.reduce((sum, each) => sum + each, 0)
      : null,
  };
}
