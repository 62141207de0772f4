import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackendInfo } from '@espalier/backend';
import { createSession, crossEntropy } from '@espalier/core';
import type { EpochResult, Session, Source, TelemetryEvent } from '@espalier/core';
import { consoleProgress, jsonlSink } from '@espalier/core/node';
import { residualNetwork } from './network.js';
import { optimizerFor } from './recipes.js';
import type { Recipe } from './recipes.js';

/** What all runs share. */
export interface Experiment {
  readonly train: Source;
  readonly validation: Source;
  readonly epochs: number;
  readonly backend: BackendInfo;
  /** Folder of the telemetry files. */
  readonly out: string;
  readonly signal: AbortSignal;
}

/** A run after its training; `session` is still open. */
export interface Trained {
  readonly session: Session;
  readonly history: readonly EpochResult[];
  readonly seconds: number;
  readonly telemetryFile: string;
}

/**
 * Trains one recipe, with progress on standard error and telemetry in a file.
 *
 * @throws the reason of `signal` where it ends the training.
 */
export async function trainRun(
  { name, preset }: Recipe,
  seed: number,
  { train, validation, epochs, backend, out, signal }: Experiment,
): Promise<Trained> {
  const session = await createSession({
    model: residualNetwork,
    loss: crossEntropy(),
    optimizer: optimizerFor(epochs * train.batchesPerEpoch!),
    preset,
    train,
    validation,
    seed,
    backend,
    logInterval: 4,
  });
  const telemetryFile = `${name.replaceAll(' ', '-').toLowerCase()}-seed-${seed}.jsonl`;
  const path = join(out, telemetryFile);
  await rm(path, { force: true });
  const stopWatching = watch(session, name, path);
  const started = performance.now();
  try {
    const { history } = await session.fit({ epochs, signal });
    signal.throwIfAborted();
    const seconds = (performance.now() - started) / 1000;
    return { session, history, seconds, telemetryFile };
  } catch (error) {
    await session.dispose();
    throw error;
  } finally {
    await stopWatching();
  }
}

const EVENTS: readonly TelemetryEvent[] = ['start', 'step', 'epoch', 'warning', 'finish'];

function watch({ telemetry }: Session, label: string, path: string): () => Promise<void> {
  const sink = jsonlSink(path);
  EVENTS.forEach((event) => telemetry.on(event, (data) => sink.write(event, data)));
  const show = consoleProgress();
  telemetry.on('start', (run) => show.start({ ...run, label })).on('step', show.step);
  telemetry.on('epoch', ({ epoch, metrics }) => show.epoch({ epoch, metrics: headline(metrics) }));
  telemetry.on('warning', ({ message }) => show.message(`warning: ${message}`));
  return () => {
    show.stop();
    return sink.close();
  };
}

/** Of all numbers of an epoch, those that fit in a line. */
function headline(metrics: Readonly<Record<string, number>>): Record<string, number> {
  const shown = ['loss', 'val/loss', 'val/accuracy', 'val/accuracy/ensemble'];
  return Object.fromEntries(Object.entries(metrics).filter(([name]) => shown.includes(name)));
}
