import type { StudyPlan } from '../plan/study-plan.js';
import type { StudyRecords } from '../store/records.js';
import type { EnvironmentFinding } from './findings.js';

/** Where a plan's trials ran, and how many in each place. */
export function environmentFindings(
  { rows, tuning }: StudyPlan,
  records: StudyRecords | undefined,
): readonly EnvironmentFinding[] {
  const trials = new Map<string, number>();
  const main = rows.flatMap((row) => row.trials.map(({ id }) => id));
  const tried = tuning.flatMap(({ draws }) =>
    draws.flatMap((draw) => draw.trials.map(({ id }) => id)),
  );
  for (const id of new Set([...main, ...tried])) {
    const key = records?.trial(id)?.environment;
    if (key !== undefined) trials.set(key, (trials.get(key) ?? 0) + 1);
  }
  const known = records?.environments();
  return [...trials].flatMap(([key, count]) => {
    const environment = known?.get(key);
    return environment ? [{ ...environment, trials: count }] : [];
  });
}
