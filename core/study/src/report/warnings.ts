import type { Findings } from '../analysis/findings.js';
import { pluralize, joinWithAnd } from './number-text.js';
import {
  listFailedTrials,
  hasNoSpread,
  listPaired,
  progress,
  listUntransformed,
} from './row-findings.js';

/** With fewer seeds, an interval of Student's t is several times as wide as the spread of the seeds. */
const FEW_SEEDS = 5;

/**
 * The reasons to trust a study's figures less, as in a report; empty if there are none.
 *
 * @example
 * listWarnings(await analyse(planner, rows, store)).forEach((each) => console.warn(each));
 */
export function listWarnings(findings: Findings): readonly string[] {
  return [
    ...(findings.differs === undefined ? [] : [findings.differs]),
    ...warnUnfinished(findings),
    ...warnFailed(findings),
    ...warnUntransformed(findings),
    ...warnFewSeeds(findings),
    ...warnEqualDifferences(findings),
    ...warnDisagreement(findings),
    ...warnRepeatedReadings(findings),
    ...warnUncommitted(findings),
  ];
}

function warnUnfinished(findings: Findings): readonly string[] {
  if (findings.complete) return [];
  const { ended, all } = progress(findings);
  return [
    `The study is not finished: ${ended} of ${all} trials have ended. Rows are compared when all trials have ended: whoever looks earlier and stops at a good result takes noise for an effect.`,
  ];
}

function warnFailed(findings: Findings): readonly string[] {
  const trials = listFailedTrials(findings);
  if (trials.length === 0) return [];
  const rows = [...new Set(trials.map(({ row }) => `'${row}'`))];
  return [
    `${pluralize(trials.length, 'trial')} failed, of ${joinWithAnd(rows)}. A row without one of the seeds is not compared: leaving that seed out would select the successful runs.`,
  ];
}

/** Rows whose plugins have a transform that no stage ran. */
function warnUntransformed({ rows }: Findings): readonly string[] {
  return rows.flatMap((row) => {
    const ids = listUntransformed(row);
    if (ids.length === 0) return [];
    const which = joinWithAnd(ids.map((id) => `'${id}'`));
    return [
      `'${row.row.name}': no stage ran the transform of ${which}, so its figures are those of the model before the transform. Add { transform: true } to the stages.`,
    ];
  });
}

function warnFewSeeds({ seeds }: Findings): readonly string[] {
  if (seeds.length >= FEW_SEEDS) return [];
  return [
    seeds.length === 1
      ? 'One seed is no evidence: it shows no spread to compare a difference with.'
      : `${seeds.length} seeds are few: intervals are wide, and they are only right if the differences follow a normal distribution, which cannot be checked with so few.`,
  ];
}

function warnEqualDifferences({ rows }: Findings): readonly string[] {
  const equal = rows.flatMap(({ row, metrics }) => {
    const comparison = listPaired(metrics[0]!);
    return comparison && hasNoSpread(comparison) ? [`'${row.name}'`] : [];
  });
  if (equal.length === 0) return [];
  return [
    `${joinWithAnd(equal)}: the difference to the base is the same for every seed. The interval of width 0 and p = 0 are then no evidence: runs that do not vary with their seed tell nothing about other seeds.`,
  ];
}

/** Where Student's t and the bootstrap disagree on whether there is a difference. */
function warnDisagreement({ rows }: Findings): readonly string[] {
  const names = rows.flatMap(({ row, metrics }) => {
    const difference = listPaired(metrics[0]!)?.difference;
    if (!difference?.bootstrap || difference.low === null) return [];
    const holdsZero = ({ low, high }: { low: number; high: number }) => low <= 0 && high >= 0;
    const t = { low: difference.low, high: difference.high! };
    return holdsZero(t) === holdsZero(difference.bootstrap) ? [] : [`'${row.name}'`];
  });
  if (names.length === 0) return [];
  return [
    `${joinWithAnd(names)}: the intervals of Student's t and of the bootstrap disagree on whether the difference may be zero. With few seeds the bootstrap interval is too narrow: use the interval of t, or more seeds.`,
  ];
}

function warnRepeatedReadings({ readings }: Findings): readonly string[] {
  if (readings.length < 2) return [];
  return [
    `The test split was read ${readings.length} times. Only the first reading was of data that could not have influenced the choice of rows.`,
  ];
}

function warnUncommitted({ environments }: Findings): readonly string[] {
  const dirty = environments.filter(({ commit }) => commit?.dirty);
  if (dirty.length === 0) return [];
  const trials = dirty.reduce((sum, each) => sum + each.trials, 0);
  return [
    `${pluralize(trials, 'trial')} ran with code that differs from the commit: it cannot be restored from there.`,
  ];
}
