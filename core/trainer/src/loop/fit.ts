import { EspalierError } from '@espalier/base';
import { disposeRaw } from '@espalier/data';
import type { Source } from '@espalier/data';
import type { EpochResult } from '../hooks/hooks.js';
import type { Run } from '../run.js';
import { beginEpoch, endEpoch, endLoop, failLoop, stepInEpoch } from './epoch.js';
import type { LoopCheckpoints } from './epoch.js';
import { evaluate } from './evaluate.js';
import { iterateSteps } from './step-batches.js';

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

/** The loop: epochs, in them steps. `finish` fires however it ends. */
export async function fit(
  run: Run,
  train: Source,
  checkpoints: LoopCheckpoints,
  { epochs = 0, untilEpoch = run.clock.epoch + epochs, signal, goOn = false }: FitOptions,
): Promise<FitResult> {
  const { clock, telemetry } = run;
  const { epoch } = clock;
  if (goOn) run.stopReason = undefined;
  else if (run.stopReason !== undefined && epoch < untilEpoch) warnStopped(run);
  telemetry.emit('start', { epochs: untilEpoch, epoch, stepsPerEpoch: countSteps(run, train) });
  try {
    while (clock.epoch < untilEpoch && !isStopping(run, signal)) {
      await runEpoch(run, train, checkpoints, { untilEpoch, signal });
    }
  } catch (error) {
    throw await failLoop(run, error);
  }
  const status = decideStatus(run, clock.epoch < untilEpoch && signal?.aborted === true);
  const ended = { status, reason: run.stopReason };
  await endLoop(run, checkpoints, ended);
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

async function runEpoch(
  run: Run,
  train: Source,
  checkpoints: LoopCheckpoints,
  { untilEpoch, signal }: Pick<FitOptions, 'signal'> & { readonly untilEpoch: number },
): Promise<void> {
  const { clock, epoch } = run;
  await beginEpoch(run);
  if (isStopping(run, signal)) {
    epoch.begun = clock.batchesInEpoch > 0;
    return;
  }
  for await (const { raw, next } of iterateSteps(run, train)) {
    try {
      await stepInEpoch(run, raw, { checkpoints, next });
    } finally {
      raw.forEach(disposeRaw);
    }
    if (isStopping(run, signal)) return;
  }
  if (clock.batchesInEpoch === 0) throw emptySourceError();
  const validated = isValidated(run, untilEpoch) ? await validate(run, signal) : {};
  // One whose validation the signal ended comes to its end when the run goes on.
  if (validated) await endEpoch(run, checkpoints, validated);
}

/** Whether the validation is due at the end of the epoch under way. */
function isValidated({ clock, settings }: Run, untilEpoch: number): boolean {
  const done = clock.epoch + 1;
  return done % settings.validateEvery === 0 || done >= untilEpoch;
}

/** The validation's numbers, named as an epoch's are; none without a validation source. */
export async function validate(
  run: Run,
  signal?: AbortSignal,
): Promise<Record<string, number> | undefined> {
  const { validation } = run.settings;
  if (!validation) return {};
  const metrics = await run.during(['evaluate'], () => evaluate(run, validation, signal));
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
