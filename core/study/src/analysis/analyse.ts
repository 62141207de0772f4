import type { ReportedMetric } from '../definition/load-study.js';
import type { PlannedRow } from '../plan/planned-row.js';
import type { Planner } from '../plan/planner.js';
import { resolvePlan } from '../plan/study-plan.js';
import type { RecordedRow, StudyPlan } from '../plan/study-plan.js';
import { summary } from '../statistics/summary.js';
import { readMetric } from '../store/read-metric.js';
import { hasResult } from '../store/records.js';
import type { StudyRecords, TrialRecord } from '../store/records.js';
import { compareRows, correctForMultipleTests } from './compare-rows.js';
import { familyFindings } from './contrast-findings.js';
import { costFindings } from './cost-findings.js';
import { environmentFindings } from './environment-findings.js';
import type {
  BySeed,
  Comparison,
  Findings,
  MetricFinding,
  RowFindings,
  Split,
} from './findings.js';
import { tuningFindings } from './tuning-findings.js';

/**
 * What a study has found. Rows are compared with the base seed by seed, and only once every trial has
 * ended: looking at tests on the way and stopping at a good one is how noise becomes a result.
 */
export async function analyse(
  planner: Planner,
  planned: readonly PlannedRow[],
  store: StudyRecords | undefined,
  split: Split = 'validation',
): Promise<Findings> {
  const plan = await resolvePlan(planner, planned, (id) => store?.trial(id));
  return analysePlan(plan, store, split);
}

/** The same from a plan that was recorded: without code, data or training. */
export function analysePlan(
  plan: StudyPlan,
  records: StudyRecords | undefined,
  split: Split = 'validation',
): Findings {
  const lookup = (id: string) => records?.trial(id);
  const { metrics, smallestEffects, contrasts, seeds, rows } = plan;
  const trials = rows.map((row) => trialsBySeed(row, lookup));
  const complete = plan.settled && trials.every((bySeed) => [...bySeed.values()].every(Boolean));
  const opened = (records?.tests() ?? []).filter(({ sealed }) => sealed !== true);
  const tests = new Map(opened.map(({ id, metrics: own }) => [id, own]));
  const valueOf = (trial: TrialRecord | undefined, name: string, of: Split = split) => {
    if (!trial || !hasResult(trial)) return undefined;
    const evaluated = of === 'test' ? (tests.get(trial.id) ?? {}) : undefined;
    return readMetric(trial.result, name, evaluated);
  };
  const measured = rows.map((row, i) => ({ row, trials: trials[i]!, valueOf }));
  const tested = contrasts.length === 0;
  const byMetric = metrics.map((each) => metricFindings(each, measured, { complete, tested }));
  const found = measured.map((each, i): RowFindings => ({
    row: each.row,
    trials: each.trials,
    metrics: byMetric.map((rowsOfMetric) => rowsOfMetric[i]!),
    costs: costFindings(each.trials, trials[0]!, byMetric[0]![i]!),
  }));
  const compared = { rows: found, metrics, complete, smallestEffects };
  return {
    name: plan.name,
    backend: plan.backend,
    manifest: plan.manifest,
    seeds,
    split,
    complete,
    tries: plan.tries,
    tuning: plan.tuning.map((each) => tuningFindings(each, metrics[0]!, lookup)),
    ...(plan.resample !== undefined && { resample: plan.resample }),
    readings: records?.readings() ?? [],
    environments: environmentFindings(plan, records),
    contrasts: contrasts.map((family) => familyFindings(family, compared)),
    smallestEffects,
    rows: found,
  };
}

type Trials = RowFindings['trials'];

interface Row {
  readonly row: RecordedRow;
  readonly trials: Trials;
  readonly valueOf: (
    trial: TrialRecord | undefined,
    metric: string,
    split?: Split,
  ) => number | undefined;
}

function trialsBySeed(row: RecordedRow, lookup: (id: string) => TrialRecord | undefined): Trials {
  return new Map(row.trials.map(({ seed, id }) => [seed, lookup(id)]));
}

interface How {
  readonly complete: boolean;
  /** Whether p values of the rows are a family. */
  readonly tested: boolean;
}

function metricFindings(
  metric: ReportedMetric,
  rows: readonly Row[],
  { complete, tested }: How,
): readonly MetricFinding[] {
  const measured = rows.map((row) => ({ ...row, values: listValues(metric, row) }));
  const compared = measured.map((row, i): Comparison => {
    if (i === 0) return { kind: 'base' };
    return compareRows(row, measured[0]!, metric, complete);
  });
  const corrected = tested ? correctForMultipleTests(compared) : compared;
  return measured.map(({ values, ...row }, i) => ({
    metric,
    values,
    validation: listValues(metric, row, 'validation'),
    summary: summarizeValues(values),
    comparison: corrected[i]!,
  }));
}

function listValues({ name }: ReportedMetric, { trials, valueOf }: Row, split?: Split): BySeed {
  const dropMissing = (value: number | undefined) => (Number.isFinite(value) ? value! : null);
  return new Map(
    [...trials].map(([seed, trial]) => [seed, dropMissing(valueOf(trial, name, split))]),
  );
}

function summarizeValues(values: BySeed) {
  const known = [...values.values()].filter((value) => value !== null);
  return known.length === 0 ? null : summary(known);
}
