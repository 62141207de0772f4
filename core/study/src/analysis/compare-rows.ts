import type { ReportedMetric } from '../definition/load-study.js';
import type { RecordedRow } from '../plan/study-plan.js';
import { holm } from '../statistics/holm.js';
import { pairedDifference } from '../statistics/paired-difference.js';
import { hasResult } from '../store/records.js';
import type { TrialRecord } from '../store/records.js';
import type { BySeed, Comparison, RowFindings } from './findings.js';
import { incomparable } from './incomparable.js';

/** A row's values of one metric. */
export interface MeasuredRow {
  readonly row: RecordedRow;
  readonly trials: RowFindings['trials'];
  readonly values: BySeed;
}

/** One row minus another in a metric, seed by seed; without correction. */
export function compareRows(
  of: MeasuredRow,
  minus: MeasuredRow,
  { direction }: ReportedMetric,
  complete: boolean,
): Comparison {
  const reasons = [
    ...incomparable(minus.row, of.row),
    ...listMissing(minus, complete),
    ...(complete ? listMissing(of, complete) : []),
  ];
  if (reasons.length > 0) return { kind: 'refused', reasons };
  const difference = pairedDifference(
    [...of.values.values()] as number[],
    [...minus.values.values()] as number[],
  );
  const better = direction === 'max' ? 'higher' : 'lower';
  return { kind: 'paired', difference, corrected: null, better };
}

/** Seeds without a value, and why: leaving them out would choose the seeds that went well. */
function listMissing({ row, trials, values }: MeasuredRow, complete: boolean): readonly string[] {
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

/** p values corrected by Holm over those that were tested. */
export function correctForMultipleTests(comparisons: readonly Comparison[]): readonly Comparison[] {
  const tested = comparisons.flatMap((each) =>
    each.kind === 'paired' && each.difference.p !== null ? [each.difference.p] : [],
  );
  const adjusted = [...holm(tested)];
  return comparisons.map((each) => {
    if (each.kind !== 'paired' || each.difference.p === null) return each;
    return { ...each, corrected: adjusted.shift()! };
  });
}
