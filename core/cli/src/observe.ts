import { resolve } from 'node:path';
import type { Session, TelemetryEvent } from '@espalier/core';
import { consoleProgress, jsonlSink } from '@espalier/core/node';
import type { LoadedConfig } from './load-config.js';

const EVENTS: readonly TelemetryEvent[] = [
  'start',
  'epochStart',
  'step',
  'epoch',
  'checkpoint',
  'warning',
  'finish',
];

/** What watches a run. */
export interface Observer {
  /** Prints a line without spoiling the progress bar. */
  say(message: string): void;
  stop(): Promise<void>;
}

/** Shows progress on standard error and writes telemetry, as the configuration says. */
export function observe(
  { telemetry, backend }: Session,
  { folder, settings: { log } }: LoadedConfig,
  { quiet = false }: { readonly quiet?: boolean },
): Observer {
  const sink = log.jsonl === undefined ? undefined : jsonlSink(resolve(folder, log.jsonl));
  if (sink) EVENTS.forEach((event) => telemetry.on(event, (data) => sink.write(event, data)));
  const show = consoleProgress();
  telemetry.on('warning', ({ message, plugin }) =>
    show.message(`warning${plugin ? ` of ${plugin}` : ''}: ${message}`),
  );
  if (!quiet) {
    show.message(backend.line);
    telemetry.on('start', show.start).on('step', show.step).on('epoch', show.epoch);
  }
  return {
    say: show.message,
    async stop() {
      show.stop();
      await sink?.close();
    },
  };
}
