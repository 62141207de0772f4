import { availableParallelism } from 'node:os';
import { printableLine, quoteWord } from '@espalier/base';
import {
  comparePlans,
  describeDifference,
  localExecutor,
  Planner,
  resolvePlan,
  runStudy,
  StudyStore,
} from '@espalier/study';
import type { LoadedStudy, PlannedRow, StudyPlan, TrialRecord } from '@espalier/study';
import { catchInterrupt } from '../interrupt.js';
import { print } from '../print.js';
import { estimateRemaining } from '../study/estimate-remaining.js';
import { readStudy } from '../study/packed-file.js';
import { showStudyProgress } from '../study/progress.js';
import { alignColumns } from '../text-columns.js';

/** Options of `espalier study run`. */
export interface StudyRunOptions {
  readonly concurrency?: number;
  readonly retryFailed?: boolean;
  readonly quiet?: boolean;
  /** Trains trials anew beside recorded ones of other code, data or machine. */
  readonly newTrials?: boolean;
}

/** Prints rows, what they change, and how far they are; trains nothing. */
export async function planStudy(path: string, { concurrency }: StudyRunOptions): Promise<void> {
  const study = await readStudy(path);
  const planner = await Planner.create(study);
  const store = StudyStore.read(study.dir);
  try {
    print(`${formatHeader(study)}\n${planner.backend.line}\n`);
    const left = estimateRemaining(concurrency ?? availableParallelism());
    const rows: PlannedRow[] = [];
    for await (const row of planner.rows()) rows.push(row);
    const lookup = (id: string) => store?.trial(id);
    const plan = await resolvePlan(planner, rows, lookup);
    const show = (name: string, ids: readonly string[], changes: readonly string[] = []) => {
      const ends = ids.map(lookup);
      left.add(ends);
      const lines = changes.map((line) => `\n    ${printableLine(line)}`).join('');
      print(`${printableLine(name)}  ${ends.filter(Boolean).length}/${ends.length}${lines}`);
    };
    for (const { row, draws } of plan.tuning) {
      const ids = draws.flatMap(({ trials }) => trials.map(({ id }) => id));
      show(`tuning of ${row}`, [...new Set(ids)]);
    }
    for (const { name, trials, diff } of plan.rows)
      show(
        name,
        trials.map(({ id }) => id),
        diff,
      );
    print(`\n${left.text()}`);
    if (!plan.settled && study.settings.equalCompute !== false) {
      print('The row of equal compute comes after them.');
    }
    const recorded = store?.plan();
    const difference = recorded && comparePlans(recorded, plan, store!);
    if (!difference) return;
    print(
      `\n${describeDifference(difference)}. study run refuses to train them again without --new-trials.`,
    );
  } finally {
    store?.close();
  }
}

/** Runs the remaining trials; returns the exit code. */
export async function run(path: string, options: StudyRunOptions): Promise<number> {
  const study = await readStudy(path);
  const { limits } = study.settings;
  const show = showStudyProgress(study.metrics[0]!.name, options.quiet ?? false);
  const interrupt = catchInterrupt(show.say);
  try {
    const { status, ran, failed } = await runStudy(study, {
      executor: localExecutor({ concurrency: options.concurrency, limits }),
      signal: interrupt.signal,
      retryFailed: options.retryFailed,
      newTrials: options.newTrials,
      onEvent: show.follow,
    });
    show.stop();
    const results = `${ran} trials ended in this run${failed.length > 0 ? `; ${failed.length} have failed: espalier study status ${quoteWord(path)}` : ''}.`;
    const next =
      status === 'completed'
        ? `Report: espalier study report ${quoteWord(path)}`
        : `Stopped. Go on with the same command: espalier study run ${quoteWord(path)}`;
    show.say(`${results} ${next}`);
    if (status === 'stopped') return interrupt.exitCode;
    return failed.length > 0 ? 1 : 0;
  } finally {
    show.stop();
    interrupt.stop();
  }
}

/** Prints how far a study is, while it runs too, and why trials failed. */
export async function status(path: string): Promise<void> {
  const study = await readStudy(path);
  const store = StudyStore.read(study.dir);
  try {
    print(`${formatHeader(study)}\n`);
    const trials = store?.trials() ?? [];
    const lines = listProgress(store?.plan(), trials);
    print(lines.length > 0 ? alignColumns(lines) : '  no trial has ended yet');
    for (const trial of trials) {
      if (!('failure' in trial)) continue;
      print(
        `\n${printableLine(trial.row)}, seed ${trial.seed}: ${indentLines(trial.failure.message)}`,
      );
    }
  } finally {
    store?.close();
  }
}

/** So that no line of it looks like one of this command. */
const indentLines = (message: string): string => message.replaceAll('\n', '\n    ');

/** Of the newest run's plan: a row's trials that have ended, its tuning first, and those that failed. */
function listProgress(plan: StudyPlan | undefined, trials: readonly TrialRecord[]): string[][] {
  const ended = new Map(trials.map((trial) => [trial.id, trial]));
  const line = (name: string, ids: readonly string[]) => {
    const own = [...new Set(ids)];
    const ends = own.flatMap((id) => ended.get(id) ?? []);
    own.forEach((id) => ended.delete(id));
    const failed = ends.filter((end) => 'failure' in end).length;
    const count = `${ends.length} of ${own.length} ended`;
    return [name, count, failed > 0 ? `${failed} failed` : ''];
  };
  const tuning = (plan?.tuning ?? []).map(({ row, draws }) => {
    const ids = draws.flatMap((draw) => draw.trials.map(({ id }) => id));
    return line(`tuning of ${row}`, ids);
  });
  const rows = (plan?.rows ?? []).map((row) =>
    line(
      row.name,
      row.trials.map(({ id }) => id),
    ),
  );
  const earlier = ended.size > 0 ? [['trials of earlier plans', `${ended.size} ended`, '']] : [];
  return [...tuning, ...rows, ...earlier];
}

function formatHeader({ name, seeds, tuningSeeds, metrics, settings }: LoadedStudy): string {
  const [primary] = metrics;
  const tune = settings.tune
    ? `, ${settings.tune.trials} tuning tries a row, each with ${tuningSeeds.length === 1 ? 'seed' : 'seeds'} ${tuningSeeds.join(', ')}`
    : '';
  return `${printableLine(name)}: ${printableLine(primary!.name)} of the validation data (${primary!.direction === 'max' ? 'higher' : 'lower'} is better), seeds ${seeds.join(', ')}${tune}`;
}
