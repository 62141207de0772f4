import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { analyse, buildStudy, Planner, StudyStore } from '@espalier/study';
import type {
  Executor,
  LoadedStudy,
  Metrics,
  PlannedRow,
  Study,
  TrialEnd,
  TrialJob,
  TrialRecord,
  TrialResult,
} from '@espalier/study';
import { afterAll } from 'vitest';

export const fixtures = fileURLToPath(new URL('fixtures', import.meta.url));
type Base = Record<string, unknown>;

/** The configuration of the fixtures, a small network on three clouds, with other fields. */
export function base(fields: Base = {}): never {
  const text = readFileSync(join(fixtures, 'base.json'), 'utf8');
  return { ...(JSON.parse(text) as Base), epochs: 2, ...fields } as never;
}

const folders: string[] = [];
afterAll(() => folders.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

/** A folder that goes when the tests of the file have ended. */
export function temporary(): string {
  const dir = mkdtempSync(join(tmpdir(), 'espalier-study-'));
  folders.push(dir);
  return dir;
}

/** A folder with a copy of the fixtures' modules that may be edited. */
export function copyOfParts(): string {
  const folder = temporary();
  copyFileSync(join(fixtures, 'parts.ts'), join(folder, 'parts.ts'));
  const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url));
  symlinkSync(modules, join(folder, 'node_modules'));
  return folder;
}

/** A study of the fixtures, with a folder of its own. */
export function study(fields: Partial<Study> = {}, folder = fixtures): Promise<LoadedStudy> {
  const whole = { base: base(), seeds: 2, primary: 'accuracy', dir: temporary(), ...fields };
  return buildStudy(whole, join(folder, 'study.json'));
}

/** The rows of a study, resolved. */
export async function planOf(loaded: LoadedStudy) {
  const planner = await Planner.create(loaded);
  const rows: PlannedRow[] = [];
  for await (const row of planner.rows()) rows.push(row);
  return { planner, rows };
}

export const rowsOf = async (fields: Partial<Study>) => (await planOf(await study(fields))).rows;

interface Made {
  readonly seconds?: number;
  readonly cpuSeconds?: number;
  /** What training gave in the last epoch. */
  readonly trained?: Metrics;
}

/** How a trial ends that gives these metrics. */
export function done(
  metrics: Metrics,
  { seconds = 1, cpuSeconds = 2 * seconds, trained = {} }: Made = {},
): TrialEnd {
  const cost = { seconds, cpuSeconds, peakMemory: 1e6, modelBytes: 1000, macs: 100 };
  const result: TrialResult = { metrics, history: [{ epoch: 1, metrics: trained }], cost };
  return { status: 'done', result };
}

/** What is kept of a trial that ended like this. */
export function trialRecord(id: string, end: TrialEnd, outcome?: object): TrialRecord {
  const backend = { name: 'wasm', package: 'x', version: '1', simd: true, threads: 1 };
  return {
    ...{ id, row: 'base', seed: 1, kind: 'main', sets: [], attempts: 1 },
    ended: '2026-01-02T03:04:05.678Z',
    budget: { epochs: 2, batchSize: 10, accumulate: 1 },
    data: { train: 'a', validation: 'b' },
    backend: { ...backend, device: null, line: 'wasm 1' },
    ...(outcome ?? ('result' in end ? { result: end.result } : {})),
  } as unknown as TrialRecord;
}

/** Runs nothing: says how each trial ends, and remembers which it was asked to run. */
export function pretend(end: (job: TrialJob) => TrialEnd, slots = 1) {
  const jobs: TrialJob[] = [];
  const executor: Executor = {
    slots,
    run: (job) => {
      jobs.push(job);
      return Promise.resolve(end(job));
    },
  };
  return { executor, jobs };
}

/** Rows beside the base. */
export const factors: Study['factors'] = {
  noise: { drop: 'noise' },
  narrow: { set: { 'model.options.units': 4 } },
};
/** What a trial reports: another mean for each row. */
export const metricsOf = ({ row, seed }: TrialJob) => ({
  accuracy: ({ base: 0.5, noise: 0.6, narrow: 0.3 }[row] ?? 0.4) + 0.01 * ((seed * 7) % 5),
  loss: 1 / seed,
});

/** What is known of a study. */
export async function findingsOf(loaded: LoadedStudy, split?: 'test') {
  const { planner, rows } = await planOf(loaded);
  const store = StudyStore.read(loaded.dir);
  return { planner, findings: await analyse(planner, rows, store, split) };
}
