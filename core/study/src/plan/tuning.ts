import { EspalierError, keyedRng, suggest, writeJson } from '@espalier/core';
import type { KeyedRng } from '@espalier/core';
import type { ReportedMetric } from '../definition/load-study.js';
import type { CheckedRange, CheckedStudy } from '../definition/schema.js';
import { hasResult } from '../store/records.js';
import type { TrialRecord } from '../store/records.js';
import { changeLength } from './change-length.js';
import type { PlannedRow, PlannedTrial } from './planned-row.js';
import { listTrials } from './planner.js';
import type { Planner } from './planner.js';
import { refuseReserved } from './row-sets.js';

/** How a trial ended, from the store; `undefined` if it has not. */
export type Lookup = (id: string) => TrialRecord | undefined;

/** One draw of a row's tuning. */
export interface Candidate {
  /** What was drawn. */
  readonly sets: readonly string[];
  /** One for each seed of the tuning. */
  readonly trials: readonly PlannedTrial[];
}

/** A row as it is tuned. */
export interface TunedRow {
  readonly row: PlannedRow;
  /** As the tuning's trials are: of another number of epochs, perhaps. */
  readonly tried: PlannedRow;
  readonly candidates: readonly Candidate[];
}

type Tune = NonNullable<CheckedStudy['tune']>;

/**
 * Every row with the same number of draws, and the same ones; none without `tune`. What is drawn for a
 * plugin goes to the rows that have it.
 *
 * @throws EspalierError `study/reserved`, `study/unknown`, `study/tuning-epochs`, `study/duplicate` where it
 * makes two rows one.
 */
export async function readTuning(
  planner: Planner,
  rows: readonly PlannedRow[],
): Promise<readonly TunedRow[]> {
  const { tune, resample } = planner.study.settings;
  if (!tune) return [];
  checkSpace(Object.keys(tune.space), rows, resample);
  const draws = drawAll(tune, planner.study.tuningSeeds[0]!);
  const tuned: TunedRow[] = [];
  const owners = new Map<string, string>();
  for (const row of rows) {
    const candidates: Candidate[] = [];
    let tried = row;
    for (const drawn of draws) {
      const own = drawn.filter(({ path }) => hasOptionOwner(path, row));
      const sets = own.map(({ path, value }) => `${path}=${writeJson(value, path)}`);
      tried = await shorten(planner, await planner.applyLevels(row, sets), tune);
      const trials = listTrials(tried, planner.study.tuningSeeds);
      const owner = owners.get(trials[0]!.id) ?? row.name;
      if (owner !== row.name) throw sameOnceTuned(row.name, owner);
      owners.set(trials[0]!.id, owner);
      candidates.push({ sets, trials });
    }
    tuned.push({ row, tried, candidates });
  }
  return tuned;
}

const drawAll = ({ trials, space }: Tune, seed: number) =>
  Array.from({ length: trials }, (_, i) =>
    Object.entries(space).map(([path, range]) => ({
      path,
      value: drawCandidate(range, keyedRng(seed, 'study', 'tune', path, i)),
    })),
  );

/** A row for the epochs of the tuning. */
function shorten(planner: Planner, row: PlannedRow, { epochs, share = 1 }: Tune) {
  const wanted = epochs ?? Math.max(1, Math.round(row.budget.epochs * share));
  const sets = changeLength(row, wanted);
  return sets.length === 0 ? row : planner.applyLevels(row, sets);
}

function checkSpace(
  paths: readonly string[],
  rows: readonly PlannedRow[],
  resample: string | undefined,
): void {
  const ids = [...new Set(rows.flatMap(({ manifest }) => Object.keys(manifest.plugins)))];
  for (const path of paths) {
    refuseReserved('tune.space', path, resample);
    if (rows.some((row) => hasOptionOwner(path, row))) continue;
    throw new EspalierError('study/unknown', {
      problem: `tune.space: no row has the plugin of '${path}'`,
      fix: suggest(path.split('.')[1]!, ids),
    });
  }
}

/** Whether a path is about no plugin, or about one that the row has. */
function hasOptionOwner(path: string, { manifest }: PlannedRow): boolean {
  const [field, id] = path.split('.');
  return field !== 'plugins' || id === undefined || Object.hasOwn(manifest.plugins, id);
}

function sameOnceTuned(row: string, owner: string): EspalierError {
  return new EspalierError('study/duplicate', {
    problem: `rows '${row}' and '${owner}' are the same run with the values of tune.space`,
    fix: 'Remove from tune.space the fields that a row changes.',
  });
}

/**
 * The rows with the settings that were best on the validation data; `undefined` while trials of the
 * tuning are missing.
 *
 * @throws EspalierError `study/tuning` where no try of a row has a result.
 */
export async function rowsAfterTuning(
  planner: Planner,
  rows: readonly PlannedRow[],
  tuned: readonly TunedRow[],
  lookup: Lookup,
): Promise<readonly PlannedRow[] | undefined> {
  if (tuned.length === 0) return rows;
  const chosen: PlannedRow[] = [];
  for (const { row, candidates } of tuned) {
    const ends = candidates.flatMap(({ trials }) => trials.map(({ id }) => lookup(id)));
    if (ends.some((end) => end === undefined)) return undefined;
    const best = chooseCandidate(candidates, planner.study.metrics[0]!, lookup);
    if (best < 0) throw noCandidateFinished(row.name, ends as readonly TrialRecord[]);
    chosen.push(await planner.applyLevels(row, candidates[best]!.sets));
  }
  return chosen;
}

/** Index of the draw with the best mean of a metric; −1 if none has a value for all its seeds. */
export function chooseCandidate(
  candidates: readonly { readonly trials: readonly { readonly id: string }[] }[],
  { name, direction }: ReportedMetric,
  lookup: Lookup,
): number {
  const sign = direction === 'max' ? 1 : -1;
  const scores = candidates.map(({ trials }) => {
    const mean = meanMetric(trials, name, lookup);
    return mean === null ? -Infinity : sign * mean;
  });
  const best = Math.max(...scores);
  return best === -Infinity ? -1 : scores.indexOf(best);
}

/** Mean of a metric over trials; null where one has no value. */
export function meanMetric(
  trials: readonly { readonly id: string }[],
  name: string,
  lookup: Lookup,
): number | null {
  const values = trials.map(({ id }) => {
    const end = lookup(id);
    return end && hasResult(end) ? (end.result.metrics[name] ?? NaN) : NaN;
  });
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Number.isFinite(mean) ? mean : null;
}

function drawCandidate(range: CheckedRange, stream: KeyedRng): unknown {
  if ('choices' in range) {
    return range.choices[Math.floor(stream() * range.choices.length)];
  }
  const { low, high, scale } = range;
  const scaleToRange = (a: number, b: number) => a + (b - a) * stream();
  return scale === 'log'
    ? Math.exp(scaleToRange(Math.log(low), Math.log(high)))
    : scaleToRange(low, high);
}

function noCandidateFinished(row: string, ends: readonly TrialRecord[]): EspalierError {
  const [failed] = ends.filter((end) => 'failure' in end);
  return new EspalierError('study/tuning', {
    problem: `no tuning trial of row '${row}' finished${failed && 'failure' in failed ? `; the first: ${failed.failure.message}` : ''}`,
    fix: 'Narrow tune.space, or leave the row out.',
  });
}
