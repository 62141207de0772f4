import type { CostFinding, Findings, MetricFinding, RowFindings } from '../analysis/findings.js';
import { hasResult } from '../store/records.js';
import type { TrialCost, TrialFailure, TrialRecord } from '../store/records.js';
import { pluralize, joinWithAnd } from './number-text.js';

type Paired = Extract<MetricFinding['comparison'], { kind: 'paired' }>;

/** The comparison of a metric, where there is one. */
export function listPaired({ comparison }: MetricFinding): Paired | undefined {
  return comparison.kind === 'paired' ? comparison : undefined;
}

/** Shown in place of a p value that means nothing. */
export const NO_SPREAD = 'no spread';

/** Whether all pairs differ by the same number: their p value means nothing. */
export const hasNoSpread = ({ difference }: Paired): boolean => difference.sd === 0;

export function findCost({ costs }: RowFindings, cost: keyof TrialCost): CostFinding | undefined {
  return costs.find((each) => each.cost === cost);
}

/** Why rows are not compared, each reason once. */
export function listRefusals(metrics: readonly MetricFinding[]): readonly string[] {
  const reasons = metrics.flatMap(({ comparison }) =>
    comparison.kind === 'refused' ? comparison.reasons : [],
  );
  return [...new Set(reasons)];
}

export type FailedTrial = TrialRecord & { readonly failure: TrialFailure };

export function listFailedTrials({ rows }: Findings): readonly FailedTrial[] {
  const trials = rows.flatMap((row) => [...row.trials.values()]);
  return trials.filter((trial) => trial !== undefined).filter((trial) => 'failure' in trial);
}

/** Plugins of a row whose transform no stage ran, each once. */
export function listUntransformed({ trials }: RowFindings): readonly string[] {
  const ids = [...trials.values()].flatMap((trial) =>
    trial && hasResult(trial) ? (trial.result.untransformed ?? []) : [],
  );
  return [...new Set(ids)];
}

/** How many trials there are to be, and how many of them have ended. */
export function progress({ rows }: Findings): { readonly ended: number; readonly all: number } {
  const trials = rows.flatMap((row) => [...row.trials.values()]);
  return { ended: trials.filter(Boolean).length, all: trials.length };
}

/**
 * What a reader must know of a row's numbers of one metric. In an unfinished study no row is compared, so
 * that there is nothing to say of one.
 */
export function remarks(row: RowFindings, finding: MetricFinding, complete: boolean): string {
  const { summary, values } = finding;
  const untransformed = listUntransformed(row);
  const reasons = complete ? listRefusals([finding]) : [];
  const shown = reasons.slice(0, 2).join('; ');
  const more = reasons.length > 2 ? ` and ${pluralize(reasons.length - 2, 'more reason')}` : '';
  return [
    ...(summary && summary.n < values.size ? [`mean of ${summary.n} of ${values.size} seeds`] : []),
    ...(reasons.length > 0 ? [`not compared: ${shown}${more}`] : []),
    ...(untransformed.length > 0 ? [`no transform of ${joinWithAnd(untransformed)}`] : []),
  ].join('; ');
}
