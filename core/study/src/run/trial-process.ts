import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '@espalier/base/node';
import {
  buildConfig,
  countEpochs,
  makeSessionConfig,
  openSource,
  listStages,
} from '@espalier/config';
import {
  createSession,
  disposeModel,
  EspalierError,
  countMacsTo,
  readJson,
  listUncountedLayers,
  viewModel,
} from '@espalier/core';
import type { ModelView, Session, Source, Stage } from '@espalier/core';
import { fileStore, jsonlSink } from '@espalier/core/node';
import { takeLock } from '../store/lock.js';
import type { Metrics, TrialResult } from '../store/records.js';
import type { TrialEnd, TrialJob } from './job.js';
import { Stopwatch } from './stopwatch.js';
import { writeResult } from './trial-folder.js';
import { writeMessage } from './trial-message.js';

/** How long to wait for the process that a killed run left: it ends after its step. */
const PATIENCE_MS = 600_000;

/** How core marks the metrics of the validation data. */
const VALIDATION = 'val/';

const EVENTS = [
  'start',
  'stage',
  'step',
  'epoch',
  'transform',
  'checkpoint',
  'report',
  'warning',
  'finish',
] as const;

const controller = new AbortController();
process.on('message', (message) => {
  if (message === 'stop') controller.abort();
});
// Without the process that runs the study, the trial ends.
process.on('disconnect', () => process.exit(1));
if (!process.connected) process.exit(1);
process.on('SIGINT', () => undefined); // Ctrl-C reaches the whole group; the study decides when to stop

await main(readJson(await readFile(process.argv[2]!, 'utf8')) as TrialJob);

async function main(job: TrialJob): Promise<void> {
  const end = await run(job).catch((error: unknown): TrialEnd => {
    const { message, code } = error as Partial<EspalierError>;
    const known = error instanceof EspalierError ? code! : 'study/threw';
    return { status: 'failed', code: known, message: message ?? String(error) };
  });
  process.send!(writeMessage(job.id, { end }), () => process.exit(0));
}

async function run(job: TrialJob): Promise<TrialEnd> {
  makeFolder(job.dir);
  const lock = takeLock(join(job.dir, 'running.lock'), PATIENCE_MS);
  if (!lock) throw isRunningAlready(job);
  try {
    return await compute(job);
  } finally {
    lock.close();
  }
}

async function compute(job: TrialJob): Promise<TrialEnd> {
  const loaded = buildConfig(job.base, { file: job.file, sets: job.sets });
  const { name, threads } = job.backend;
  const session = await createSession({
    ...(await makeSessionConfig(loaded)),
    seed: job.seed,
    backend: { prefer: name as never, threads },
    checkpoint: { store: fileStore(join(job.dir, 'checkpoints')), keep: 1 },
    folder: job.dir,
  });
  const test = async () => evaluateOn(session, await openSource(loaded, 'test'));
  if (job.task === 'train') return train(session, job, { stages: listStages(loaded), test });
  if (!(await session.load())) throw noCheckpoint(job);
  const metrics = (await test())?.metrics;
  return metrics ? { status: 'tested', metrics } : { status: 'stopped' };
}

type Test = TrialResult['test'];

/** `undefined` where it was stopped. */
async function evaluateOn(session: Session, source: Source | undefined): Promise<Test> {
  const { signal } = controller;
  const metrics = await session.evaluate(source, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    return undefined;
  });
  return metrics && { data: await source!.fingerprint(), metrics };
}

interface Training {
  readonly stages: readonly Stage[];
  /** Evaluates the test data. */
  readonly test: () => Promise<Test>;
}

async function train(
  session: Session,
  job: TrialJob,
  { stages, test }: Training,
): Promise<TrialEnd> {
  await session.load();
  disposeModel(session.export()); // what cannot be exported is refused now, not after training
  const watch = await Stopwatch.open(job.dir, session.clock.step);
  const sink = jsonlSink(join(job.dir, 'events.jsonl'));
  for (const event of EVENTS) {
    session.telemetry.on(event, (data: unknown) => sink.write(event, data as never));
  }
  session.telemetry.on('checkpoint', ({ step }) => watch.note(step));
  const epochs = countEpochs(stages);
  session.telemetry.on('epoch', ({ epoch }) => {
    process.send!(writeMessage(job.id, { progress: { epoch, epochs } }));
  });
  const { signal } = controller;
  const { status, history, metrics } = await session.runStages(stages, { signal });
  await sink.close();
  if (status === 'aborted') return { status: 'stopped' };
  const epochsDone = history.map(({ clock, metrics }) => ({ epoch: clock.epoch + 1, metrics }));
  const times = watch.read();
  const { uncounted, ...cost } = measureCost(session);
  const tested = job.testToo ? await test() : undefined;
  if (job.testToo && !tested) return { status: 'stopped' };
  const result: TrialResult = {
    metrics: readValidation(metrics),
    history: epochsDone,
    cost: { ...cost, ...times },
    uncounted,
    untransformed: session.untransformed,
    ...(tested && { test: tested }),
  };
  await writeResult(job.dir, result);
  return { status: 'done', result };
}

function isRunningAlready({ dir }: TrialJob): EspalierError {
  return new EspalierError('study/trial-running', {
    problem: `another process writes to ${dir}`,
    fix: 'End that process, then run the study again with --retry-failed.',
  });
}

function noCheckpoint({ dir }: TrialJob): EspalierError {
  return new EspalierError('study/no-checkpoint', {
    problem: `there is no checkpoint of the trained model in ${dir}`,
    fix: 'Restore it, or run the study in another dir.',
  });
}

/** Those of the validation data, by the names that the test data's have. */
function readValidation(metrics: Metrics): Metrics {
  const own = Object.entries(metrics).filter(([name]) => name.startsWith(VALIDATION));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(VALIDATION.length), value]));
}

function measureCost(session: Session) {
  const model = session.export();
  const modelBytes = model.weights.reduce((sum, { shape }) => {
    return sum + 4 * shape.reduce<number>((size, n) => size * (n ?? 1), 1);
  }, 0);
  const peakMemory = process.resourceUsage().maxRSS * 1024;
  return { peakMemory, modelBytes, ...countMacs(viewModel(model)) };
}

/** A layer that fails at counting itself is no reason to lose the trial. */
function countMacs(view: ModelView) {
  try {
    const uncounted = listUncountedLayers(view, view.outputNames);
    return { macs: countMacsTo(view, view.outputNames) ?? null, uncounted };
  } catch {
    return { macs: null, uncounted: [] };
  }
}
