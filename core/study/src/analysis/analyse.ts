import type { ReportedMetric } from '../definition/load-study.js';
import { equalComputeRow } from '../plan/equal-compute.js';
import type { PlannedRow } from '../plan/planned-row.js';
import { listTrials } from '../plan/planner.js';
import type { Planner } from '../plan/planner.js';
import { readTuning, rowsAfterTuning } from '../plan/tuning.js';
import { holm } from '../statistics/holm.js';
import { pairedDifference } from '../statistics/paired-difference.js';
import { summary } from '../statistics/summary.js';
import { readMetric } from '../store/read-metric.js';
import { hasResult } from '../store/records.js';
import type { TrialCost, TrialRecord } from '../store/records.js';
import type { StudyStore } from '../store/store.js';
import type {
  BySeed,
  Comparison,
  CostFinding,
  Findings,
  MetricFinding,
  RowFindings,
  Split,
} from './findings.js';
import { incomparable } from './incomparable.js';
import { tuningFindings } from './tuning-findings.js';

const COSTS = ['seconds', 'cpuSeconds', 'peakMemory', 'modelBytes', 'macs'] as const;

/**
 * What a study has found. Rows are compared with the base seed by seed, and only once every trial has
 * ended: looking at tests on the way and stopping at a good one is how noise becomes a result.
 */
export async function analyse(
  planner: Planner,
  planned: readonly PlannedRow[],
  store: StudyStore | undefined,
  split: Split = 'validation',
): Promise<Findings> {
  const { study, backend } = planner;
  const lookup = (id: string) => store?.trial(id);
  const tuning = await readTuning(planner, planned);
  const tuned = await rowsAfterTuning(planner, planned, tuning, lookup);
  const rows = [...(tuned ?? planned)];
  const longer = tuned && (await equalComputeRow(planner, tuned, lookup));
  if (longer) rows.push(longer);
  const tests = new Map(store?.tests().map(({ id, metrics }) => [id, metrics]));
  const trials = rows.map((row) => trialsBySeed(row, study.seeds, lookup));
  const complete = trials.every((bySeed) => [...bySeed.values()].every(Boolean));
  const valueOf = (trial: TrialRecord | undefined, name: string) => {
    if (!trial || !hasResult(trial)) return undefined;
    const evaluated = split === 'test' ? (tests.get(trial.id) ?? {}) : undefined;
    return readMetric(trial.result, name, evaluated);
  };
  const measured = rows.map((row, i) => ({ row, trials: trials[i]!, valueOf }));
  const byMetric = study.metrics.map((metric) => metricFindings(metric, measured, complete));
  return {
    name: study.name,
    backend,
    seeds: study.seeds,
    split,
    complete,
    tries: study.settings.tune?.trials ?? 0,
    tuning: tuning.map((each) => tuningFindings(each, study, lookup)),
    ...(study.settings.resample !== undefined && { resample: study.settings.resample }),
    readings: store?.readings() ?? [],
    rows: measured.map((each, i) => ({
      row: each.row,
      trials: each.trials,
      metrics: byMetric.map((rowsOfMetric) => rowsOfMetric[i]!),
      costs: costFindings(each.trials, trials[0]!, byMetric[0]![i]!),
    })),
  };
}

type Trials = RowFindings['trials'];

interface MeasuredRow {
  readonly row: PlannedRow;
  readonly trials: Trials;
  readonly valueOf: (trial: TrialRecord | undefined, metric: string) => number | undefined;
}

function trialsBySeed(
  row: PlannedRow,
  seeds: readonly number[],
  lookup: (id: string) => TrialRecord | undefined,
): Trials {
  return new Map(listTrials(row, seeds).map(({ seed, id }) => [seed, lookup(id)]));
}

function metricFindings(
  metric: ReportedMetric,
  rows: readonly MeasuredRow[],
  complete: boolean,
): readonly MetricFinding[] {
  const values = rows.map((row) => listValues(metric, row));
  const compared = rows.map((row, i): Comparison => {
    if (i === 0) return { kind: 'base' };
    const reasons = [
      ...incomparable(rows[0]!.row, row.row),
      ...missing(rows[0]!, values[0]!, complete),
      ...missing(row, values[i]!, complete),
    ];
    if (reasons.length > 0) return { kind: 'refused', reasons };
    const difference = pairedDifference(
      [...values[i]!.values()] as number[],
      [...values[0]!.values()] as number[],
    );
    const better = metric.direction === 'max' ? 'higher' : 'lower';
    return { kind: 'paired', difference, corrected: null, better };
  });
  const corrected = correctForMultipleTests(compared);
  return rows.map((_, i) => ({
    metric,
    values: values[i]!,
    summary: summarizeValues(values[i]!),
    comparison: corrected[i]!,
  }));
}

function listValues({ name }: ReportedMetric, { trials, valueOf }: MeasuredRow): BySeed {
  const dropMissing = (value: number | undefined) => (Number.isFinite(value) ? value! : null);
  return new Map([...trials].map(([seed, trial]) => [seed, dropMissing(valueOf(trial, name))]));
}

/** Seeds without a value, and why: leaving them out would choose the seeds that went well. */
function missing(
  { row, trials }: MeasuredRow,
  values: BySeed,
  complete: boolean,
): readonly string[] {
  if (!complete) return ['the study is not finished'];
  const seeds = [...values].filter(([, value]) => value === null).map(([seed]) => seed);
  if (seeds.length === 0) return [];
  const hasNone = seeds.length === values.size && [...trials.values()].every(isMeasured);
  if (hasNone) return [`'${row.name}' does not report it`];
  const codes = seeds.flatMap((seed) => {
    const trial = trials.get(seed);
    return trial && 'failure' in trial ? [trial.failure.code] : [];
  });
  const why = codes.length > 0 ? ` (${[...new Set(codes)].join(', ')})` : '';
  const which = seeds.length > 1 ? 'seeds' : 'seed';
  return [`'${row.name}' has no value for ${which} ${seeds.join(', ')}${why}`];
}

const isMeasured = (trial: TrialRecord | undefined): boolean =>
  trial !== undefined && hasResult(trial);

function summarizeValues(values: BySeed) {
  const known = [...values.values()].filter((value) => value !== null);
  return known.length === 0 ? null : summary(known);
}

function correctForMultipleTests(comparisons: readonly Comparison[]): readonly Comparison[] {
  const tested = comparisons.flatMap((each) =>
    each.kind === 'paired' && each.difference.p !== null ? [each.difference.p] : [],
  );
  const adjusted = [...holm(tested)];
  return comparisons.map((each) => {
    if (each.kind !== 'paired' || each.difference.p === null) return each;
    return { ...each, corrected: adjusted.shift()! };
  });
}

function costFindings(
  trials: Trials,
  base: Trials,
  { comparison }: MetricFinding,
): readonly CostFinding[] {
  return COSTS.map((cost) => {
    const [own, against] = [meanCost(trials, cost), meanCost(base, cost)];
    const added = own !== null && against !== null ? own - against : 0;
    return {
      cost,
      mean: own,
      ratio: own === null || !against ? null : own / against,
      effect: comparison.kind === 'paired' && added > 0 ? comparison.difference.mean / added : null,
    };
  });
}

function meanCost(trials: Trials, cost: keyof TrialCost): number | null {
  const values = [...trials.values()].flatMap((trial) => {
    const value = trial && hasResult(trial) ? trial.result.cost[cost] : null;
    return Number.isFinite(value) ? [value!] : [];
  });
  return values.length === 0 ? null : values.reduce((sum, each) => sum + each, 0) / values.length;
}
