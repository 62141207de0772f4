import { EspalierError } from '@espalier/base';
import type { RawBatch } from '@espalier/data';
import type { EpochResult, FitEnd, StepLog } from '../hooks/hooks.js';
import type { Run } from '../run.js';
import { trainStep } from './step.js';
import { yieldToEventLoop } from './yield-to-event-loop.js';

/** What saves checkpoints as the loop goes on. */
export interface LoopCheckpoints {
  afterStep(): Promise<void>;
  afterEpoch(): Promise<void>;
  /** Saves, unless the newest checkpoint holds this very moment. */
  saveIfChanged(): Promise<void>;
}

/** How a loop ended. */
export type LoopEnd = Pick<FitEnd, 'status' | 'reason'>;

/** Begins the epoch, once: one that has begun stays as it is, also in a resumed run. */
export async function beginEpoch(run: Run): Promise<void> {
  const { clock, epoch, taps, telemetry } = run;
  if (epoch.begun) return;
  await run.during(['epochStart'], () => taps.fire('epochStart', { clock }));
  epoch.begun = true;
  telemetry.emit('epochStart', { epoch: clock.epoch });
}

/**
 * One step of the epoch, and a checkpoint where one is due.
 *
 * @throws EspalierError `session/epoch` where the epoch has not begun.
 */
export async function stepInEpoch(
  run: Run,
  raw: readonly RawBatch[],
  { checkpoints, next }: { checkpoints: LoopCheckpoints; next: RawBatch | undefined },
): Promise<StepLog> {
  if (!run.epoch.begun) throw notBegunError();
  const log = await trainStep(run, raw, { inEpoch: true, next });
  await checkpoints.afterStep();
  await yieldToEventLoop();
  return log;
}

/**
 * Ends the epoch: its means, `metrics` and what taps add are its numbers. Then a checkpoint, if one is due.
 *
 * @throws EspalierError `session/epoch` where it has no step; `epoch/metric`.
 */
export async function endEpoch(
  run: Run,
  checkpoints: LoopCheckpoints,
  given: Readonly<Record<string, number>> = {},
): Promise<EpochResult> {
  const { clock, epoch, taps, telemetry } = run;
  if (clock.batchesInEpoch === 0) throw noStepError();
  const metrics: Record<string, number> = epoch.means();
  const metric = (name: string, value: number) => addNumber(metrics, name, value);
  Object.entries(given).forEach(([name, value]) => metric(name, value));
  const result = { clock: { ...clock }, metrics };
  await run.during(['epochEnd'], () => taps.fire('epochEnd', { ...result, metric }));
  run.history.push(result);
  telemetry.emit('epoch', { epoch: clock.epoch, metrics });
  clock.nextEpoch();
  epoch.reset();
  await checkpoints.afterEpoch();
  return result;
}

/** Ends a loop: `finish`, and checkpoints before and after it, except of a loop that failed. */
export async function endLoop(run: Run, checkpoints: LoopCheckpoints, end: LoopEnd): Promise<void> {
  try {
    if (end.status !== 'failed') await checkpoints.saveIfChanged();
  } catch (error) {
    throw await failLoop(run, error);
  }
  await finish(run, end);
  const over = end.status === 'completed' || end.status === 'stopped';
  if (over) await checkpoints.saveIfChanged();
}

/** Ends a loop that an error ended; gives back that error, which is the one to see. */
export async function failLoop(run: Run, error: unknown): Promise<unknown> {
  const reason = error instanceof Error ? error.message : String(error);
  await finish(run, { status: 'failed', reason }).catch((second) =>
    run.telemetry.emit('warning', { message: String(second) }),
  );
  return error;
}

async function finish({ clock, taps, telemetry }: Run, end: LoopEnd): Promise<void> {
  telemetry.emit('finish', end);
  await taps.fire('finish', { clock, ...end });
}

/** @throws EspalierError `epoch/metric`. */
function addNumber(metrics: Record<string, number>, name: string, value: number): void {
  if (typeof value === 'number' && !Object.hasOwn(metrics, name)) {
    metrics[name] = value;
    return;
  }
  throw new EspalierError('epoch/metric', {
    problem: Object.hasOwn(metrics, name)
      ? `the epoch already has a metric '${name}'`
      : `the metric '${name}' of an epoch must be a number`,
    received: value,
  });
}

function notBegunError(): EspalierError {
  return new EspalierError('session/epoch', {
    problem: 'session.step got inEpoch: true, and no epoch has begun',
    fix: 'Call await session.beginEpoch() before the first step of each epoch.',
  });
}

function noStepError(): EspalierError {
  return new EspalierError('session/epoch', {
    problem: 'session.endEpoch was called, and no step counts in this epoch',
    fix: 'Take its steps by session.step(batch, { inEpoch: true }).',
  });
}
