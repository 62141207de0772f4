import { EspalierError } from '@espalier/base';
import { disposeRaw } from '@espalier/data';
import type { Source } from '@espalier/data';
import type { EpochResult } from '../hooks/hooks.js';
import type { Run } from '../run.js';
import { evaluate } from './evaluate.js';
import { iterateSteps } from './step-batches.js';
import { trainStep } from './step.js';
import { yieldToEventLoop } from './yield-to-event-loop.js';

/** How long to fit: exactly one of `epochs` and `untilEpoch`. */
export interface FitOptions {
  /**
   * Trains this number of epochs. Where an earlier fit ended in the middle of an epoch, the rest of it
   * counts as the first.
   */
  readonly epochs?: number;
  /**
   * Trains until this number of epochs is done in all, earlier fits and a resumed run included. Use it for
   * runs that may be resumed.
   */
  readonly untilEpoch?: number;
  /**
   * Ends the fit after the current step, or the current batch of a validation, with a checkpoint. A
   * validation that was ended is done again when the run continues.
   */
  readonly signal?: AbortSignal;
  /** Continues a run that a plugin stopped; without it such a run stays stopped, also when resumed. */
  readonly goOn?: boolean;
}

/** How a fit ended. */
export interface FitResult {
  /** `completed`: all epochs are done; `stopped`: by a plugin; `aborted`: by the signal. */
  readonly status: 'completed' | 'stopped' | 'aborted';
  /** Why the plugin stopped the run. */
  readonly reason?: string;
  /** Every epoch of the run so far, resumed ones included. */
  readonly history: readonly EpochResult[];
}

/** What saves checkpoints as the loop goes on. */
export interface LoopCheckpoints {
  afterStep(): Promise<void>;
  afterEpoch(): Promise<void>;
  /** Saves, unless the newest checkpoint holds this very moment. */
  saveIfChanged(): Promise<void>;
}

/** The loop: epochs, in them steps. `finish` fires however it ends. */
export async function fit(
  run: Run,
  train: Source,
  checkpoints: LoopCheckpoints,
  { epochs = 0, untilEpoch = run.clock.epoch + epochs, signal, goOn = false }: FitOptions,
): Promise<FitResult> {
  const { clock, taps, telemetry } = run;
  const { epoch } = clock;
  if (goOn) run.stopReason = undefined;
  else if (run.stopReason !== undefined && epoch < untilEpoch) warnStopped(run);
  telemetry.emit('start', { epochs: untilEpoch, epoch, stepsPerEpoch: countSteps(run, train) });
  let status: FitResult['status'];
  try {
    while (clock.epoch < untilEpoch && !isStopping(run, signal)) {
      await runEpoch(run, train, checkpoints, signal);
    }
    status = decideStatus(run, clock.epoch < untilEpoch && signal?.aborted === true);
    await checkpoints.saveIfChanged();
  } catch (error) {
    const failed = { status: 'failed', reason: readMessage(error) } as const;
    telemetry.emit('finish', failed);
    // The error that ended the fit is the one to see.
    await taps
      .fire('finish', { clock, ...failed })
      .catch((second) => telemetry.emit('warning', { message: String(second) }));
    throw error;
  }
  const ended = { status, reason: run.stopReason };
  telemetry.emit('finish', ended);
  await taps.fire('finish', { clock, ...ended });
  if (status !== 'aborted') await checkpoints.saveIfChanged();
  return { ...ended, history: run.history };
}

function decideStatus({ stopReason }: Run, aborted: boolean): FitResult['status'] {
  if (aborted) return 'aborted';
  return stopReason === undefined ? 'completed' : 'stopped';
}

function warnStopped({ telemetry, stopReason }: Run): void {
  telemetry.emit('warning', {
    message: `a plugin stopped this run (${stopReason}), and it stays stopped. To continue: fit({ …, goOn: true }), or --go-on`,
  });
}

function readMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function runEpoch(
  run: Run,
  train: Source,
  checkpoints: LoopCheckpoints,
  signal?: AbortSignal,
): Promise<void> {
  const { clock, taps, telemetry } = run;
  if (clock.batchesInEpoch === 0) {
    await taps.fire('epochStart', { clock });
    if (isStopping(run, signal)) return;
    telemetry.emit('epochStart', { epoch: clock.epoch });
  }
  for await (const { raw, next } of iterateSteps(run, train)) {
    try {
      await trainStep(run, raw, { fromSource: true, next });
    } finally {
      raw.forEach(disposeRaw);
    }
    await checkpoints.afterStep();
    await yieldToEventLoop();
    if (isStopping(run, signal)) return;
  }
  if (await endEpoch(run, signal)) await checkpoints.afterEpoch();
}

/** Whether the epoch came to its end; one whose validation the signal ended begins it again later. */
async function endEpoch(run: Run, signal?: AbortSignal): Promise<boolean> {
  const { clock, epoch, taps, telemetry } = run;
  if (clock.batchesInEpoch === 0) throw emptySourceError();
  const validated = await validate(run, signal);
  if (!validated) return false;
  const metrics: Record<string, number> = { ...epoch.means(), ...validated };
  const result = { clock: { ...clock }, metrics };
  run.history.push(result);
  const metric = (name: string, value: number) => addNumber(metrics, name, value);
  await taps.fire('epochEnd', { ...result, metric });
  telemetry.emit('epoch', { epoch: clock.epoch, metrics });
  clock.nextEpoch();
  epoch.reset();
  return true;
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

/** The validation's numbers, named as an epoch's are; none without a validation source. */
export async function validate(
  run: Run,
  signal?: AbortSignal,
): Promise<Record<string, number> | undefined> {
  const { validation } = run.settings;
  if (!validation) return {};
  const metrics = await evaluate(run, validation, signal);
  return (
    metrics &&
    Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`val/${name}`, value]))
  );
}

function isStopping(run: Run, signal?: AbortSignal): boolean {
  return run.stopReason !== undefined || signal?.aborted === true;
}

function countSteps({ settings }: Run, { batchesPerEpoch }: Source): number | undefined {
  return batchesPerEpoch === undefined
    ? undefined
    : Math.ceil(batchesPerEpoch / settings.accumulate);
}

function emptySourceError(): EspalierError {
  return new EspalierError('source/empty', {
    problem: 'the training source gave no batch in this epoch',
    fix: 'Check the data, or the iterator: it must start anew each epoch.',
  });
}
