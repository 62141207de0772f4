import { joinWithAnd, pluralize } from '../report/number-text.js';
import type { StudyRecords } from '../store/records.js';
import type { RecordedRow, StudyPlan } from './study-plan.js';

/** Why recorded trials are none of the present plan's, though the study says the same of their rows. */
export interface PlanDifference {
  /** Rows that would be trained again. */
  readonly rows: readonly string[];
  /** Their trials that have ended. */
  readonly trials: number;
  /** What differs, one text for each part: code, data, backend, Node.js, TensorFlow.js. */
  readonly parts: readonly string[];
}

const MOST_FILES = 8;

/**
 * Compares a recorded plan with the present one. A row that the study itself changed is another row: there is
 * nothing to compare.
 *
 * @returns `undefined` where no trial that has ended would be trained again.
 */
export function comparePlans(
  recorded: StudyPlan,
  present: StudyPlan,
  records: Pick<StudyRecords, 'trial'>,
): PlanDifference | undefined {
  const known = new Map(present.planned.map((row) => [row.name, row]));
  const changed = recorded.planned.flatMap((was) => {
    const is = known.get(was.name);
    return is?.definition === was.definition && isOther(was, is) ? [{ was, is }] : [];
  });
  const ids = changed.flatMap(({ was }) => listIds(recorded, was.name));
  const trials = new Set(ids.filter((id) => records.trial(id) !== undefined)).size;
  if (trials === 0) return undefined;
  return {
    rows: changed.map(({ was }) => was.name),
    trials,
    parts: [
      ...listFiles(recorded, present),
      ...listData(changed),
      ...listFields('backend', recorded.backend, present.backend),
      ...listFields('', recorded.versions, present.versions),
    ],
  };
}

/** Of one seed at least that both have. */
function isOther(was: RecordedRow, is: RecordedRow): boolean {
  const ids = new Map(is.trials.map(({ seed, id }) => [seed, id]));
  return was.hash !== is.hash || was.trials.some(({ seed, id }) => (ids.get(seed) ?? id) !== id);
}

/** The ids of a row's trials, the tuning's too. */
function listIds({ rows, planned, tuning }: StudyPlan, name: string): string[] {
  const own = <T extends { readonly name: string }>(each: readonly T[]) =>
    each.filter((row) => row.name === name);
  return [
    ...own([...planned, ...rows]).flatMap(({ trials }) => trials.map(({ id }) => id)),
    ...tuning
      .filter(({ row }) => row === name)
      .flatMap(({ draws }) => draws.flatMap(({ trials }) => trials.map(({ id }) => id))),
  ];
}

function listFiles({ files: was }: StudyPlan, { files: is }: StudyPlan): string[] {
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].sort();
  const changed = names.filter((name) => was[name] !== is[name]);
  if (changed.length === 0) return [];
  const shown = changed.slice(0, MOST_FILES).map((name) => describeFile(name, was, is));
  const more = changed.length - shown.length;
  return [`code: ${shown.join(', ')}${more > 0 ? ` and ${more} more files` : ''}`];
}

type Files = StudyPlan['files'];

function describeFile(name: string, was: Files, is: Files): string {
  if (was[name] === undefined) return `${name} is new`;
  if (is[name] === undefined) return `${name} is gone`;
  return name;
}

function listData(changed: readonly { was: RecordedRow; is: RecordedRow }[]): string[] {
  const splits = (['train', 'validation'] as const).filter((split) =>
    changed.some(({ was, is }) => {
      const own = new Map(is.trials.map(({ seed, data }) => [seed, data[split]]));
      return was.trials.some(({ seed, data }) => (own.get(seed) ?? data[split]) !== data[split]);
    }),
  );
  return splits.length === 0 ? [] : [`content of data: ${splits.join(', ')}`];
}

const NAMES: Readonly<Record<string, string>> = { node: 'Node.js', tfjs: 'TensorFlow.js' };

function listFields(owner: string, was: object, is: object): string[] {
  return Object.keys(was)
    .filter((key) => key !== 'line')
    .flatMap((key) => {
      const [before, now] = [was, is].map((each) => String(each[key as keyof typeof each]));
      const name = [owner, NAMES[key] ?? key].filter(Boolean).join(' ');
      return before === now ? [] : [`${name}: was ${before}, is ${now}`];
    });
}

/** A difference in one sentence. */
export function describeDifference({ rows, trials, parts }: PlanDifference): string {
  const which = joinWithAnd(rows.map((row) => `'${row}'`));
  const why = parts.length > 0 ? parts.join('; ') : 'the release of @espalier/study';
  return `${pluralize(trials, 'finished trial')} of ${which} ran with other code, data or machine than there is now. What differs: ${why}`;
}
