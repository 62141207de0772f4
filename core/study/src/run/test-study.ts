import { buildConfig, openSource as testSource } from '@espalier/config';
import { EspalierError } from '@espalier/core';
import type { Source } from '@espalier/core';
import type { Findings, RowFindings } from '../analysis/findings.js';
import type { LoadedStudy } from '../definition/load-study.js';
import { hashJson } from '../plan/hash-json.js';
import type { Planner } from '../plan/planner.js';
import { drawSample } from '../plan/resample.js';
import type { RecordedRow } from '../plan/study-plan.js';
import { pluralize } from '../report/number-text.js';
import { UNKNOWN_TIME } from '../store/readings-file.js';
import { hasResult } from '../store/records.js';
import type { Metrics } from '../store/records.js';
import { StudyStore } from '../store/store.js';
import type { Executor } from './job.js';
import { localExecutor } from './local-executor.js';
import { abortedWith, pool } from './pool.js';
import { trialFolder } from './trial-folder.js';

/** How to read the test split. */
export interface TestStudyOptions {
  readonly executor?: Executor;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
  /** Reads it though it was read before and the study has changed since. */
  readonly again?: boolean;
}

/**
 * Evaluates the test split with every trial of a finished study, at its last epoch. It does so once, since a choice
 * that is made after it would be biased. After an interruption, the same call continues. What
 * trials computed when they ended is unsealed then, and not computed again.
 *
 * @throws EspalierError `study/no-test`, `study/unfinished`, `study/test-read`, `study/test-failed`.
 */
export async function testStudy(
  planner: Planner,
  { rows, complete, differs }: Findings,
  { executor = localExecutor(), signal, onProgress, again = false }: TestStudyOptions = {},
): Promise<void> {
  const { study } = planner;
  const source = await checkTestSplit(study);
  if (!complete) throw refuseUnfinished();
  const data = await source.fingerprint();
  const store = StudyStore.open(study.dir);
  try {
    const trials = rows.flatMap(listMeasured);
    const known = new Map(
      store.tests().flatMap((each) => (each.data === data ? [[each.id, each] as const] : [])),
    );
    const isOpen = ({ id }: MeasuredTrial) => known.has(id) && known.get(id)!.sealed !== true;
    if (trials.every(isOpen)) return;
    refuseOtherTestData(store, data);
    const waiting = trials.filter(({ id }) => !known.has(id));
    if (waiting.length > 0 && differs !== undefined) throw refuseOther(differs);
    const readings = store.readings();
    const of = hashJson([data, ...trials.map(({ id }) => id).sort()]);
    const goesOn = readings.at(-1)?.of === of;
    if (readings.length > 0 && !goesOn && !again) throw countEarlierReadings(readings[0]!.at);
    if (!goesOn) store.keepReading({ at: new Date().toISOString(), trials: trials.length, of });
    for (const { id } of trials) {
      const test = known.get(id);
      if (test?.sealed) store.keepTest({ id, data, metrics: test.metrics });
    }
    const controller = abortedWith(signal);
    let done = 0;
    await pool(waiting, { slots: executor.slots, controller }, async (trial) => {
      const metrics = await test(planner, { trial, executor, signal: controller.signal });
      if (!metrics) return;
      store.keepTest({ id: trial.id, data, metrics });
      done += 1;
      onProgress?.(done, waiting.length);
    });
  } finally {
    store.close();
  }
}

/** @throws EspalierError `study/no-test`. */
export async function checkTestSplit({ base }: LoadedStudy): Promise<Source> {
  const source = await testSource(base, 'test');
  if (source) return source;
  throw missingTestSplit();
}

/** A trial that has a model: what it is stands in the plan, whatever its record says. */
interface MeasuredTrial {
  readonly id: string;
  readonly seed: number;
  readonly row: RecordedRow;
}

function listMeasured({ row, trials }: RowFindings): readonly MeasuredTrial[] {
  return row.trials.flatMap(({ id, seed }) => {
    const record = trials.get(seed);
    return record && hasResult(record) ? [{ id, seed, row }] : [];
  });
}

interface Test {
  readonly trial: MeasuredTrial;
  readonly executor: Executor;
  readonly signal: AbortSignal;
}

async function test(
  { study, backend: { name, threads } }: Planner,
  { trial, executor, signal }: Test,
): Promise<Metrics | undefined> {
  const { file, written } = study.base;
  const { id, seed } = trial;
  const row = trial.row.name;
  const sets = listSets(study, trial);
  const job = { id, row, seed, sets, file, base: written, backend: { name, threads } };
  const end = await executor.run(
    { ...job, dir: trialFolder(study.dir, id), task: 'test' },
    { signal, onProgress: () => undefined },
  );
  if (end.status === 'tested') return end.metrics;
  if (end.status === 'stopped') return undefined;
  throw new EspalierError('study/test-failed', {
    problem: `row '${row}', seed ${seed} could not be tested: ${'message' in end ? end.message : end.status}`,
    fix: 'Run the report again: the finished evaluations are kept.',
  });
}

function listSets(study: LoadedStudy, { row, seed }: MeasuredTrial): readonly string[] {
  const { written, file, modules } = study.base;
  const config = buildConfig(written, { file, modules, sets: row.sets });
  return [...row.sets, ...drawSample(study, config, seed, row.sets).sets];
}

function missingTestSplit(): EspalierError {
  return new EspalierError('study/no-test', {
    problem: 'the base has no data.test',
    fix: "Add it: data: { test: './data.ts#test' }.",
  });
}

function refuseUnfinished(): EspalierError {
  return new EspalierError('study/unfinished', {
    problem: 'the study is not finished, and the test split is read once',
    fix: 'Run it first: espalier study run.',
  });
}

/** Before the reading counts: sealed results are of the data that they were computed on. */
function refuseOtherTestData(store: StudyStore, data: string): void {
  const other = store.tests().filter((each) => each.sealed && each.data !== data);
  if (other.length === 0) return;
  throw new EspalierError('study/changed', {
    problem: `${pluralize(other.length, 'trial')} computed test metrics on other test data than there are now`,
    fix: 'Restore the test data. Nothing was read.',
  });
}

function refuseOther(differs: string): EspalierError {
  return new EspalierError('study/changed', {
    problem: `trained models cannot be tested with other code, data or machine. ${differs}`,
    fix: 'Test them with what they ran with (check out their commit, restore the data).',
  });
}

function countEarlierReadings(at: string): EspalierError {
  const when = at === UNKNOWN_TIME ? 'a time that is not known' : at;
  return new EspalierError('study/test-read', {
    problem: `the test split was read at ${when}, and the study has changed since`,
    fix: 'Report on the validation data, or pass --test-again; the report then mentions it.',
  });
}
