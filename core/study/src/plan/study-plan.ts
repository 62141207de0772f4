import type { Manifest } from '@espalier/core';
import { canonicalJson, readJson, writeJson } from '@espalier/core';
import type { ContrastFamily } from '../definition/contrasts.js';
import type { LoadedStudy, ReportedMetric } from '../definition/load-study.js';
import { equalComputeRow } from './equal-compute.js';
import { hashJson } from './hash-json.js';
import type { DataFingerprints, PlannedBackend, PlannedRow } from './planned-row.js';
import { listTrials } from './planner.js';
import type { Planner } from './planner.js';
import { readTuning, rowsAfterTuning } from './tuning.js';
import type { Lookup, TunedRow } from './tuning.js';

/** A trial of a plan. */
export interface RecordedTrial {
  readonly id: string;
  readonly seed: number;
  readonly data: DataFingerprints;
}

/** A row of a plan, as data. */
export interface RecordedRow extends Pick<
  PlannedRow,
  'name' | 'kind' | 'sets' | 'budget' | 'data' | 'diff' | 'modules' | 'hash'
> {
  /** Hash of what the study says of it; code, data and machine are not in it. */
  readonly definition: string;
  /** One for each seed of the study. */
  readonly trials: readonly RecordedTrial[];
}

/** The tuning of a row, as data. */
export interface RecordedTuning {
  readonly row: string;
  readonly epochs: number;
  readonly seeds: readonly number[];
  readonly draws: readonly {
    readonly sets: readonly string[];
    readonly trials: readonly { readonly id: string }[];
  }[];
}

/** All that a study is, as data: with it, its results can be reported without its code and data. */
export interface StudyPlan {
  readonly name: string;
  /** The study as it was written, its base included. */
  readonly definition: unknown;
  readonly seeds: readonly number[];
  /** The primary one first. */
  readonly metrics: readonly ReportedMetric[];
  readonly contrasts: readonly ContrastFamily[];
  readonly smallestEffects: Readonly<Record<string, number>>;
  readonly tries: number;
  readonly resample?: string;
  readonly backend: PlannedBackend;
  readonly versions: { readonly tfjs: string; readonly node: string };
  /** Files of all rows' code: path in the base's folder or in a package → hash of the content; `name@version` of
   * an installed package → the same. */
  readonly files: Readonly<Record<string, string>>;
  /** Of the base. */
  readonly manifest: Manifest;
  /** As the study says. */
  readonly planned: readonly RecordedRow[];
  readonly tuning: readonly RecordedTuning[];
  /** As they run: tuned, with the row of equal compute. */
  readonly rows: readonly RecordedRow[];
  /** Whether `rows` are known: nothing before them has to run. */
  readonly settled: boolean;
}

/** A study's plan as far as its trials tell: tuned rows once the tuning has ended, and so on. */
export async function resolvePlan(
  planner: Planner,
  planned: readonly PlannedRow[],
  lookup: Lookup,
): Promise<StudyPlan> {
  const { study, backend, versions } = planner;
  const { settings, name, seeds, metrics, contrasts, smallestEffects } = study;
  const tuning = await readTuning(planner, planned);
  const tuned = await rowsAfterTuning(planner, planned, tuning, lookup);
  const longer = tuned && (await equalComputeRow(planner, tuned, lookup));
  const rows = [...(tuned ?? planned), ...(longer ? [longer] : [])];
  const record = (row: PlannedRow) => recordRow(row, study);
  const plan: StudyPlan = {
    name,
    definition: defineAsData(study),
    seeds,
    metrics,
    contrasts,
    smallestEffects,
    tries: settings.tune?.trials ?? 0,
    ...(settings.resample !== undefined && { resample: settings.resample }),
    backend,
    versions,
    files: planner.files([...new Set(planned.flatMap(({ modules }) => modules))]),
    manifest: planned[0]!.manifest,
    planned: planned.map(record),
    tuning: tuning.map((each) => recordTuning(each, study)),
    rows: rows.map(record),
    settled: tuned !== undefined && (settings.equalCompute === false || haveEnded(tuned)),
  };
  return readJson(writeJson(plan, 'plan')) as StudyPlan;

  function haveEnded(all: readonly PlannedRow[]): boolean {
    return all.every((row) => listTrials(row, seeds).every(({ id }) => lookup(id) !== undefined));
  }
}

const defineAsData = ({ settings, base }: LoadedStudy) => ({ ...settings, base: base.written });

/**
 * Whether a recorded plan is of the study as it is written now; code and data are not looked at.
 *
 * @example
 * isPlanOf(store.plan()!, await loadStudy('study.ts'));
 */
export function isPlanOf(plan: StudyPlan, study: LoadedStudy): boolean {
  const present: unknown = readJson(writeJson(defineAsData(study), 'study'));
  return canonicalJson(plan.definition) === canonicalJson(present);
}

function recordRow(row: PlannedRow, { base, seeds }: LoadedStudy): RecordedRow {
  const { name, kind, sets, budget, data, diff, modules, hash } = row;
  const definition = hashJson([base.written, sets]);
  const trials = listTrials(row, seeds).map(({ id, seed, data: own }) => ({ id, seed, data: own }));
  return { name, kind, sets, budget, data, diff, modules, hash, definition, trials };
}

function recordTuning({ row, tried, candidates }: TunedRow, study: LoadedStudy): RecordedTuning {
  return {
    row: row.name,
    epochs: tried.budget.epochs,
    seeds: study.tuningSeeds,
    draws: candidates.map(({ sets, trials }) => ({
      sets,
      trials: trials.map(({ id }) => ({ id })),
    })),
  };
}
