import { EspalierError } from '@espalier/base';
import { disposeRaw } from '@espalier/data';
import type { RawBatch, Source } from '@espalier/data';
import { tidyExcept } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch, NamedTensors } from './batch.js';
import { weighHandedOn } from './batches.js';
import { evaluate } from './evaluation.js';
import { explainFault } from './faults.js';
import { findFault, logOf, probe } from './finite.js';
import type { Probe } from './finite.js';
import type { EpochResult, StepLog } from './hooks.js';
import { divideByWindow } from './masked-windows.js';
import type { Run } from './run.js';
import type { HandedOn } from './taps.js';
import { sumWindow } from './window-sums.js';
import { windows } from './windows.js';
import { checkHandedOnIds } from './word-ids.js';
import { yieldToEventLoop } from './yield-to-event-loop.js';

/** How long to fit: exactly one of `epochs` and `untilEpoch`. */
export interface FitOptions {
  /**
   * Trains so many more epochs. An epoch that was begun before, by a fit that ended in its middle,
   * is the first of them.
   */
  readonly epochs?: number;
  /**
   * Trains until so many epochs are done in all, those of earlier fits and of a resumed run
   * included: what a run wants that may be resumed.
   */
  readonly untilEpoch?: number;
  /**
   * Ends the fit after the step under way, or the batch of a validation, with a checkpoint. A
   * validation that was cut short is done again when the run goes on.
   */
  readonly signal?: AbortSignal;
  /** Trains on though a plugin stopped the run; without it such a run stays stopped, resumed too. */
  readonly goOn?: boolean;
}

/** How a fit ended. */
export interface FitResult {
  /** All its epochs are done; a plugin stopped the run; its signal was aborted. */
  readonly status: 'completed' | 'stopped' | 'aborted';
  /** What the plugin said that stopped the run. */
  readonly reason?: string;
  /** Every epoch of the run so far, resumed ones included. */
  readonly history: readonly EpochResult[];
}

/** The loop: epochs, in them steps; `finish` fires however it ends. */
export async function fit(
  run: Run,
  train: Source,
  { epochs = 0, untilEpoch = run.clock.epoch + epochs, signal, goOn = false }: FitOptions,
): Promise<FitResult> {
  const { clock, taps, telemetry } = run;
  const { epoch } = clock;
  if (goOn) run.stopReason = undefined;
  else if (run.stopReason !== undefined && epoch < untilEpoch) warnStopped(run);
  telemetry.emit('start', { epochs: untilEpoch, epoch, stepsPerEpoch: stepsPerEpoch(run, train) });
  let status: FitResult['status'];
  try {
    while (clock.epoch < untilEpoch && !stopping(run, signal)) await runEpoch(run, train, signal);
    status = statusOf(run, clock.epoch < untilEpoch && signal?.aborted === true);
    await run.saveCheckpoint?.();
  } catch (error) {
    const failed = { status: 'failed', reason: messageOf(error) } as const;
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
  return { ...ended, history: run.history };
}

function statusOf({ stopReason }: Run, aborted: boolean): FitResult['status'] {
  if (aborted) return 'aborted';
  return stopReason === undefined ? 'completed' : 'stopped';
}

function warnStopped({ telemetry, stopReason }: Run): void {
  telemetry.emit('warning', {
    message: `a plugin stopped this run (${stopReason}), and it stays stopped; to train on: fit({ …, goOn: true }), or --go-on`,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function runEpoch(run: Run, train: Source, signal?: AbortSignal): Promise<void> {
  const { clock, taps, telemetry } = run;
  if (clock.batchesInEpoch === 0) {
    await taps.fire('epochStart', { clock });
    if (stopping(run, signal)) return;
    telemetry.emit('epochStart', { epoch: clock.epoch });
  }
  for await (const { raw, next } of windows(run, train)) {
    try {
      await trainStep(run, raw, { fromSource: true, next });
    } finally {
      raw.forEach(disposeRaw);
    }
    await run.afterStep?.();
    await yieldToEventLoop();
    if (stopping(run, signal)) return;
  }
  await endEpoch(run, signal);
}

/** Where the signal ends its validation, the epoch ends when the fit goes on: with that validation. */
async function endEpoch(run: Run, signal?: AbortSignal): Promise<void> {
  const { clock, taps, telemetry } = run;
  if (clock.batchesInEpoch === 0) throw emptySource();
  const validated = await validate(run, signal);
  if (!validated) return;
  const metrics = { ...run.epochMeans(), ...validated };
  const result = { clock: { ...clock }, metrics };
  run.history.push(result);
  await taps.fire('epochEnd', result);
  telemetry.emit('epoch', { epoch: clock.epoch, metrics });
  clock.epoch += 1;
  clock.batchesInEpoch = 0;
  run.resetEpoch();
  await run.afterEpoch?.();
}

/** The validation's numbers, named as an epoch's are; none without a validation source. */
export async function validate(
  run: Run,
  signal?: AbortSignal,
): Promise<Record<string, number> | undefined> {
  if (!run.validation) return {};
  const metrics = await evaluate(run, run.validation, signal);
  return (
    metrics &&
    Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`val/${name}`, value]))
  );
}

/**
 * One optimizer step, in firing order: batch → beforeStep → [targets → loss] → gradients →
 * beforeApply → optimizer → afterApply → afterStep. The raw tensors stay the caller's.
 */
export async function trainStep(
  run: Run,
  raw: readonly RawBatch[],
  { fromSource = false, next }: { fromSource?: boolean; next?: RawBatch } = {},
): Promise<StepLog> {
  const { clock, taps } = run;
  const window: Batch[] = [];
  const step = {
    microBatches: window,
    clock,
    next: next && (await run.batchAhead(next, raw.length)),
  };
  const statistics = new Map<string, Tensor>();
  const held: Tensor[] = [];
  if (raw.length === 0) throw emptyStep();
  run.followModel();
  try {
    for (const [i, one] of raw.entries()) {
      const batch = await run.batch(one, i);
      const changed = await taps.fire('batch', batch);
      await checkHandedOnIds(run, changed);
      window.push(await weighHandedOn(run, batch, changed));
    }
    window.splice(0, window.length, ...(await divideByWindow(run, window)));
    run.window = window;
    await taps.fire('beforeStep', step);

    const sums = tidyExcept(heldOf, () => accumulateWindow(run, window, statistics));
    held.push(...heldOf(sums));
    const { gradients, checks } = sums;
    const numbers = await checks.numbers.data();
    const fault = findFault(numbers, checks);
    if (fault) throw await explainFault(run, fault, { ...sums, ...step });
    const log = logOf(numbers, checks);

    taps.call('beforeApply', step);
    applyUpdates(run, gradients, statistics);
    clock.microSteps += window.length;
    clock.step += 1;
    if (fromSource) run.addToEpoch(log, window);
    taps.call('afterApply', step);

    run.report(log);
    await taps.fire('afterStep', { ...step, log });
    return log;
  } finally {
    tf.dispose([...held, ...statistics.values()]);
    run.window = undefined;
    run.disposeReplaced(raw);
  }
}

/** Gradients before and after the taps, tap by tap, and what tells whether all is finite. */
interface Accumulated {
  readonly raw: NamedTensors;
  readonly trail: readonly HandedOn<'gradients'>[];
  readonly gradients: NamedTensors;
  readonly checks: Probe;
  /** By loss term: the plugin that replaced its value. */
  readonly replacedBy: Readonly<Record<string, string>>;
}

/** The synchronous zone: every micro-batch's gradients, scaled by its share of the weight. */
function accumulateWindow(
  run: Run,
  window: readonly Batch[],
  statistics: Map<string, Tensor>,
): Accumulated {
  const sums = sumWindow(window, (batch) => run.objective.gradients(batch, {}, statistics));
  const trail = run.taps.trail('gradients', sums.gradients);
  const gradients = trail.at(-1)?.value ?? sums.gradients;
  const checks = probe({ ...sums, gradients });
  const result = { raw: sums.gradients, trail, gradients, checks, replacedBy: sums.replacedBy };
  heldOf(result).forEach((tensor) => tf.keep(tensor));
  return result;
}

function heldOf({ raw, trail, checks }: Accumulated): Tensor[] {
  const all = [raw, ...trail.map(({ value }) => value)].flatMap((each) => Object.values(each));
  return [...new Set([checks.numbers, ...all])];
}

/** Optimizer, then parameters, slots and moving statistics: all or nothing. */
function applyUpdates(run: Run, gradients: NamedTensors, statistics: Map<string, Tensor>): void {
  const { parameters, optimizer, clock } = run;
  tf.tidy(() => {
    const params = parameters.values(parameters.trainable);
    const { updates, state: slots } = optimizer.update(gradients, run.optimizerState, params, {
      step: clock.step,
    });
    const moved = Object.entries(updates).map(([path, update]) => [
      path,
      tf.add(params[path]!, update),
    ]);
    const next = run.constrain(Object.fromEntries(moved));
    parameters.assign({ ...next, ...Object.fromEntries(statistics) });
    run.replaceOptimizerState(slots);
  });
}

function stopping(run: Run, signal?: AbortSignal): boolean {
  return run.stopReason !== undefined || signal?.aborted === true;
}

function stepsPerEpoch(run: Run, { batchesPerEpoch }: Source): number | undefined {
  return batchesPerEpoch === undefined ? undefined : Math.ceil(batchesPerEpoch / run.accumulate);
}

function emptyStep(): EspalierError {
  return new EspalierError('session/step', {
    problem: 'a step needs at least one batch',
    fix: 'Call session.step({ x, y }).',
  });
}

function emptySource(): EspalierError {
  return new EspalierError('source/empty', {
    problem: 'the training source gave no batch in this epoch',
    fix: 'Check the data, or the iterator: it must start anew each epoch.',
  });
}
