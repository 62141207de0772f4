import type { LoadedConfig } from '@espalier/config';
import { EspalierError, keyedRng, suggest, writeJson } from '@espalier/core';
import type { KeyedRng } from '@espalier/core';
import type { CheckedRange } from '../definition/schema.js';
import { hasResult } from '../store/records.js';
import type { TrialRecord } from '../store/records.js';
import type { PlannedRow, PlannedTrial } from './planned-row.js';
import { listTrials } from './planner.js';
import type { Planner } from './planner.js';
import { refuseReserved } from './row-sets.js';
import { stretchStages } from './stretch-stages.js';

/** How a trial ended, from the store; `undefined` if it has not. */
export type Lookup = (id: string) => TrialRecord | undefined;

/** One try of a row's tuning. */
export interface Candidate {
  readonly sets: readonly string[];
  readonly trial: PlannedTrial;
}

/** A row as it is tried out. */
export interface TunedRow {
  readonly row: PlannedRow;
  readonly candidates: readonly Candidate[];
}

/** Seed of the tuning trials: none of the study's, so that no row is chosen on what it is judged by. */
export function tuningSeed({ study }: Planner): number {
  const given = study.settings.tune?.seed;
  if (given !== undefined && study.seeds.includes(given)) {
    throw new EspalierError('study/tuning-seed', {
      problem: `tune.seed ${given} is a seed of the study`,
      fix: 'Choose another seed: a row must not be compared on the runs that chose its settings.',
    });
  }
  return given ?? Math.max(...study.seeds) + 1;
}

/**
 * Every row with the same number of tries, and the same draws; none without `tune`. What is drawn for a
 * plugin goes to the rows that have it.
 *
 * @throws EspalierError `study/reserved`, `study/unknown`, `study/duplicate` where it makes two rows one.
 */
export async function readTuning(
  planner: Planner,
  rows: readonly PlannedRow[],
): Promise<readonly TunedRow[]> {
  const { tune } = planner.study.settings;
  if (!tune) return [];
  checkSpace(Object.keys(tune.space), rows);
  const seed = tuningSeed(planner);
  const draws = Array.from({ length: tune.trials }, (_, i) =>
    Object.entries(tune.space).map(([path, range]) => ({
      path,
      value: drawCandidate(range, keyedRng(seed, 'study', 'tune', path, i)),
    })),
  );
  const tuned: TunedRow[] = [];
  const owners = new Map<string, string>();
  for (const row of rows) {
    const candidates: Candidate[] = [];
    for (const drawn of draws) {
      const own = drawn.filter(({ path }) => hasOptionOwner(path, row));
      const sets = own.map(({ path, value }) => `${path}=${writeJson(value, path)}`);
      for (const trial of listTrials(await planner.applyLevels(row, sets), [seed])) {
        const owner = owners.get(trial.id) ?? row.name;
        if (owner !== row.name) throw sameOnceTuned(row.name, owner);
        owners.set(trial.id, owner);
        candidates.push({ sets, trial });
      }
    }
    tuned.push({ row, candidates });
  }
  return tuned;
}

function checkSpace(paths: readonly string[], rows: readonly PlannedRow[]): void {
  const ids = [...new Set(rows.flatMap(({ manifest }) => Object.keys(manifest.plugins)))];
  for (const path of paths) {
    refuseReserved('tune.space', path);
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
    const ends = candidates.map(({ trial }) => lookup(trial.id));
    if (ends.some((end) => end === undefined)) return undefined;
    const best = findBest(planner, ends as readonly TrialRecord[]);
    if (best < 0) throw noCandidateFinished(row.name, ends as readonly TrialRecord[]);
    chosen.push(await planner.applyLevels(row, candidates[best]!.sets));
  }
  return chosen;
}

/**
 * The base for as many epochs as take the seconds of the costliest row, schedules of its optimizer
 * stretched likewise; `undefined` if that is the base, or while trials are missing.
 */
export async function equalComputeRow(
  planner: Planner,
  rows: readonly PlannedRow[],
  lookup: Lookup,
): Promise<PlannedRow | undefined> {
  const { seeds } = planner.study;
  const seconds: number[] = [];
  for (const row of rows) {
    const each: number[] = [];
    for (const { id } of listTrials(row, seeds)) {
      const end = lookup(id);
      if (end === undefined) return undefined;
      if (hasResult(end)) each.push(end.result.cost.seconds);
    }
    seconds.push(each.reduce((sum, value) => sum + value, 0) / each.length);
  }
  const most = Math.max(...seconds.filter(Number.isFinite));
  const [base] = rows;
  const { budget, config } = base!;
  const epochs = Math.ceil((budget.epochs * most) / seconds[0]!);
  if (!(epochs > budget.epochs)) return undefined;
  const costliest = rows[seconds.indexOf(most)]!.name;
  const as = { name: `base, as long as ${costliest}`, kind: 'equal-compute' } as const;
  const schedules = stretchStages(config.settings.optimizer.options, epochs / budget.epochs);
  return planner.applyLevels(base!, [...withMoreEpochs(config, epochs), ...schedules], as);
}

/** Settings that make a run's epochs so many; those of its stages grow in proportion. */
function withMoreEpochs({ settings: { stages } }: LoadedConfig, epochs: number): string[] {
  if (!stages) return [`epochs=${epochs}`];
  const before = stages.reduce((sum, stage) => sum + (stage.epochs ?? 0), 0);
  let [was, done] = [0, 0];
  return stages.flatMap((stage, i) => {
    if (stage.epochs === undefined) return [];
    was += stage.epochs;
    const until = Math.round((epochs * was) / before);
    const own = until - done;
    done = until;
    return [`stages.${i}.epochs=${own}`];
  });
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

/** Index of the best by the primary metric; −1 if none has one. */
function findBest({ study }: Planner, ends: readonly TrialRecord[]): number {
  const [primary] = study.metrics;
  const sign = primary!.direction === 'max' ? 1 : -1;
  const scores = ends.map((end) => {
    const value = hasResult(end) ? end.result.metrics[primary!.name] : undefined;
    return value === null || value === undefined ? -Infinity : sign * value;
  });
  const best = Math.max(...scores);
  return best === -Infinity ? -1 : scores.indexOf(best);
}

function noCandidateFinished(row: string, ends: readonly TrialRecord[]): EspalierError {
  const [failed] = ends.filter((end) => 'failure' in end);
  return new EspalierError('study/tuning', {
    problem: `no tuning trial of row '${row}' finished${failed && 'failure' in failed ? `; the first: ${failed.failure.message}` : ''}`,
    fix: 'Narrow tune.space, or leave the row out.',
  });
}
