import { EspalierError, parseOptions, suggest } from '@espalier/core';
import { z } from 'zod';
import type { LoadedStudy } from '../definition/load-study.js';
import { comparePlans, describeDifference } from '../plan/compare-plans.js';
import { readEnvironment } from '../plan/environment.js';
import type { Environment } from '../plan/environment.js';
import { equalComputeRow } from '../plan/equal-compute.js';
import type { PlannedRow, PlannedTrial } from '../plan/planned-row.js';
import { Planner, listTrials } from '../plan/planner.js';
import { resolvePlan } from '../plan/study-plan.js';
import type { StudyPlan } from '../plan/study-plan.js';
import { readTuning, rowsAfterTuning } from '../plan/tuning.js';
import { listMetricNames, readMetric } from '../store/read-metric.js';
import { hasResult } from '../store/records.js';
import type { TrialKind, TrialRecord, TrialResult } from '../store/records.js';
import { environmentId, StudyStore } from '../store/store.js';
import type { Executor, TrialEnd, TrialJob, TrialProgress } from './job.js';
import { localExecutor } from './local-executor.js';
import { abortedWith, pool } from './pool.js';
import { checkTestSplit } from './test-study.js';
import { watchProgress, readResult, trialFolder } from './trial-folder.js';

/** What happens while a study runs. */
export type StudyEvent =
  | {
      readonly type: 'stage';
      readonly stage: Stage;
      /** Trials of the stage, and those that had ended before. */
      readonly total: number;
      readonly done: number;
    }
  /** Something to know: the database was damaged, and made anew. */
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'start'; readonly trial: PlannedTrial }
  | { readonly type: 'progress'; readonly trial: PlannedTrial; readonly progress: TrialProgress }
  /** A trial crashed and is tried again. */
  | { readonly type: 'retry'; readonly trial: PlannedTrial; readonly message: string }
  | { readonly type: 'end'; readonly trial: PlannedTrial; readonly record: TrialRecord };

export type Stage = 'tuning' | 'rows' | 'equal compute';

/** How to run a study. */
export interface RunStudyOptions {
  /** Default: processes on this machine, one for each core. */
  readonly executor?: Executor;
  /** Stops it: trials save at their next step and end. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: StudyEvent) => void;
  /** Whether trials that failed before run again. */
  readonly retryFailed?: boolean;
  /**
   * Trains trials anew beside recorded ones whose rows the study has not changed, though its code, data or
   * machine has; without it, such a study is refused.
   */
  readonly newTrials?: boolean;
  /** Crashes in a row, without progress between them, until a trial is given up; default 3. */
  readonly crashes?: number;
}

/** What a run of a study came to. */
export interface StudyRun {
  readonly status: 'completed' | 'stopped';
  /** Trials that ended in this run. */
  readonly ran: number;
  /** Trials without a result, of all. */
  readonly failed: readonly TrialRecord[];
}

/**
 * Runs the remaining trials of a study: tuning, if the study has it, then every row with every seed, then
 * the row of equal compute. What has ended is kept as it ends; run it again to go on.
 *
 * @throws EspalierError `study/metric` after the first trial if no metric has the primary's name, after
 * the first of every row if one has no trial that reports it; `study/changed` where trials that have ended would be
 * trained again; `study/running`, `study/store`; the errors of a row's configuration, before anything runs.
 * @example
 * await runStudy(await loadStudy('study.ts'), { onEvent: (event) => console.log(event) });
 */
export async function runStudy(
  study: LoadedStudy,
  options: RunStudyOptions = {},
): Promise<StudyRun> {
  parseOptions('runStudy', crashLimit, { crashes: options.crashes });
  const planner = await Planner.create(study);
  const rows = await all(planner.rows());
  if (study.settings.test === 'after-each-trial') await checkTestSplit(study);
  const store = StudyStore.open(study.dir);
  try {
    return await new Runner(planner, store, options).run(rows);
  } finally {
    store.close();
  }
}

/** One that never comes would try a trial for ever. */
const crashLimit = z.strictObject({ crashes: z.int().positive().optional() });

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** What is known of how a trial ended; default: at the first attempt, now. */
interface Ending {
  readonly attempts?: number;
  readonly ended?: string;
}

interface Work {
  readonly trial: PlannedTrial;
  readonly row: PlannedRow;
  readonly kind: TrialKind;
}

class Runner {
  readonly #executor: Executor;
  readonly #failed: TrialRecord[] = [];
  /** Aborted, trials save and end. */
  readonly #controller: AbortController;
  /** Row → the names of the metrics that a trial of it has. */
  readonly #reported = new Map<string, readonly string[]>();
  readonly #environment: Environment;
  #rows = 0;
  #ran = 0;

  constructor(
    private readonly planner: Planner,
    private readonly store: StudyStore,
    private readonly options: RunStudyOptions,
  ) {
    const { limits } = planner.study.settings;
    this.#executor = options.executor ?? localExecutor({ limits });
    this.#controller = abortedWith(options.signal);
    this.#environment = readEnvironment(planner.study.base.folder, planner.backend);
  }

  async run(planned: readonly PlannedRow[]): Promise<StudyRun> {
    const { planner } = this;
    const lookup = (id: string) => this.store.trial(id);
    this.#rows = planned.length;
    const { repair } = this.store;
    if (repair !== undefined) this.options.onEvent?.({ type: 'warning', message: repair });
    const plan = await resolvePlan(planner, planned, lookup);
    if (!this.options.newTrials) refuseOther(this.store, plan);
    this.store.keepPlan(plan);
    const tuning = await readTuning(planner, planned);
    const tries = tuning.flatMap(({ tried, candidates }) =>
      candidates.flatMap(({ trials }) =>
        trials.map((trial) => ({ trial, row: tried, kind: 'tuning' as const })),
      ),
    );
    if (!(await this.#stage('tuning', tries))) return this.#outcome('stopped');
    const rows = (await rowsAfterTuning(planner, planned, tuning, lookup))!;
    if (tuning.length > 0) this.store.keepPlan(await resolvePlan(planner, planned, lookup));
    if (!(await this.#stage('rows', this.#work(rows)))) return this.#outcome('stopped');
    const longer = await equalComputeRow(planner, rows, lookup);
    if (planner.study.settings.equalCompute !== false) {
      this.store.keepPlan(await resolvePlan(planner, planned, lookup));
    }
    const work = longer ? this.#work([longer]) : [];
    const done = await this.#stage('equal compute', work);
    return this.#outcome(done ? 'completed' : 'stopped');
  }

  #outcome(status: StudyRun['status']): StudyRun {
    return { status, ran: this.#ran, failed: this.#failed };
  }

  /** Seed by seed, so that the first rows to be complete are all of them. */
  #work(rows: readonly PlannedRow[]): readonly Work[] {
    const each: Work[] = [];
    for (const seed of this.planner.study.seeds) {
      for (const row of rows) {
        each.push({ trial: listTrials(row, [seed])[0]!, row, kind: 'main' });
      }
    }
    return each;
  }

  /** Runs what has not ended yet; `false` if it was stopped. */
  async #stage(stage: Stage, work: readonly Work[]): Promise<boolean> {
    if (work.length === 0) return true;
    const waiting: Work[] = [];
    // Tries that drew the same are one trial.
    const trials = [...new Map(work.map((each) => [each.trial.id, each])).values()];
    for (const each of trials) if (!(await this.#recordEnd(each))) waiting.push(each);
    const done = trials.length - waiting.length;
    this.options.onEvent?.({ type: 'stage', stage, total: trials.length, done });
    const { slots } = this.#executor;
    await pool(waiting, { slots, controller: this.#controller }, (each) => this.#trial(each));
    return !this.#controller.signal.aborted;
  }

  /** Whether it needs no run; a result that was left by a run that was killed is taken over. */
  async #recordEnd(work: Work): Promise<boolean> {
    const record = this.store.trial(work.trial.id);
    if (record && hasResult(record)) {
      this.#checkMetrics(work, record.result);
      return true;
    }
    if (record && !this.options.retryFailed) {
      this.#failed.push(record);
      return true;
    }
    const left = record ? undefined : await readResult(this.#dir(work.trial));
    if (left) this.#recordResult(work, left.result, { ended: left.ended });
    return left !== undefined;
  }

  async #trial(work: Work): Promise<void> {
    const { trial } = work;
    const { onEvent, crashes = 3 } = this.options;
    for (let attempt = 1; ; attempt += 1) {
      onEvent?.({ type: 'start', trial });
      const end = await this.#executor.run(this.#job(work), {
        signal: this.#controller.signal,
        onProgress: (progress) => onEvent?.({ type: 'progress', trial, progress }),
      });
      if (end.status === 'stopped' || end.status === 'tested') return this.#controller.abort();
      if (end.status === 'done') return this.#recordResult(work, end.result, { attempts: attempt });
      if (end.status !== 'crashed') return this.#recordFailure(work, end, { attempts: attempt });
      const left = await readResult(this.#dir(trial));
      if (left) return this.#recordResult(work, left.result, { attempts: attempt });
      if (this.#controller.signal.aborted) return;
      const count = this.store.crash(trial.id, await watchProgress(this.#dir(trial)));
      if (count >= crashes) {
        const message = `it crashed ${count} times in a row without progress. ${end.message}`;
        return this.#recordFailure(
          work,
          { status: 'over', code: 'study/crashed', message },
          { attempts: attempt },
        );
      }
      onEvent?.({ type: 'retry', trial, message: end.message });
    }
  }

  #recordResult(work: Work, { test, ...result }: TrialResult, how: Ending): void {
    const { id } = work.trial;
    if (test) this.store.keepTest({ id, ...test, sealed: true });
    const [primary] = this.planner.study.metrics;
    const found = readMetric(result, primary!.name);
    if (found !== undefined && !Number.isFinite(found)) {
      const message = `metric '${primary!.name}' is ${found} after the last epoch`;
      return this.#recordFailure(
        work,
        { status: 'over', code: 'study/not-finite-metric', message },
        how,
      );
    }
    this.#record(work, { result }, how);
    this.#checkMetrics(work, result);
  }

  /** The primary metric is every row's; another may be some rows' only, but not none's. */
  #checkMetrics({ row }: Work, result: TrialResult): void {
    const [primary, ...others] = this.planner.study.metrics;
    const own = listMetricNames(result);
    if (!own.includes(primary!.name)) throw missingMetric(primary!.name, own);
    this.#reported.set(row.name, own);
    if (this.#reported.size < this.#rows) return;
    const all = [...new Set([...this.#reported.values()].flat())];
    const missing = others.find(({ name }) => !all.includes(name));
    if (missing) throw missingMetric(missing.name, all);
  }

  #recordFailure(
    work: Work,
    { code, message }: Extract<TrialEnd, { status: 'failed' | 'over' }>,
    how: Ending,
  ): void {
    this.#failed.push(this.#record(work, { failure: { code, message } }, how));
  }

  #record(
    { trial, row, kind }: Work,
    outcome:
      | Pick<Extract<TrialRecord, { result: unknown }>, 'result'>
      | { failure: { code: string; message: string } },
    { attempts = 1, ended = new Date().toISOString() }: Ending,
  ): TrialRecord {
    const { budget } = row;
    const { backend } = this.planner;
    const environment = environmentId(this.#environment);
    this.store.keepEnvironment(environment, this.#environment);
    const record = { ...trial, kind, budget, backend, attempts, ended, environment, ...outcome };
    this.store.end(record);
    this.#ran += 1;
    this.options.onEvent?.({ type: 'end', trial, record });
    return record;
  }

  #dir({ id }: PlannedTrial): string {
    return trialFolder(this.planner.study.dir, id);
  }

  #job({ trial, kind }: Work): TrialJob {
    const { id, row, seed, sets } = trial;
    const { base, settings } = this.planner.study;
    const { name, threads } = this.planner.backend;
    return {
      id,
      row,
      seed,
      base: base.written,
      file: base.file,
      sets,
      backend: { name, threads },
      dir: this.#dir(trial),
      task: 'train',
      ...(kind === 'main' && settings.test === 'after-each-trial' && { testToo: true }),
    };
  }
}

/** @throws EspalierError `study/changed` where trials that have ended would be trained again. */
function refuseOther(store: StudyStore, present: StudyPlan): void {
  const recorded = store.plan();
  const difference = recorded && comparePlans(recorded, present, store);
  if (!difference) return;
  throw new EspalierError('study/changed', {
    problem: describeDifference(difference),
    fix: 'Go on with what they ran with (check out their commit, restore the data), or pass --new-trials to train anew beside them.',
  });
}

function missingMetric(name: string, known: readonly string[]): EspalierError {
  return new EspalierError('study/metric', {
    problem: `no trial reports a metric '${name}': ${known.join(', ')}`,
    fix: suggest(name, known),
  });
}
