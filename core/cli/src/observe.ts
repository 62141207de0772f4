import { basename, dirname, resolve } from 'node:path';
import type { BackendInfo } from '@espalier/backend';
import { describeStage } from '@espalier/config';
import type { LoadedConfig } from '@espalier/config';
import type { Session, Stage, TelemetryEvent, TelemetryEvents } from '@espalier/core';
import { claimPlace, consoleProgress, jsonlSink, makeFolder } from '@espalier/core/node';
import type { JsonlSink } from '@espalier/core/node';
import { formatNumber } from './text-columns.js';

const EVENTS: readonly TelemetryEvent[] = [
  'start',
  'epochStart',
  'step',
  'epoch',
  'stage',
  'transform',
  'checkpoint',
  'report',
  'warning',
  'finish',
];

/** What watches a run. */
export interface Observer {
  /** Prints a line without spoiling the progress bar. */
  say(message: string): void;
  stop(): Promise<void>;
}

/** The backend in one line; with `verbose` also why faster ones were not taken. */
export function describeBackend(
  { line, chosen, skipped: passedOver }: BackendInfo,
  verbose = false,
): string {
  return verbose || passedOver.length === 0 ? line : `${chosen}; why this one: --verbose`;
}

/** Shows progress on standard error and writes the telemetry that the configuration asks for. */
export function startLogging(
  { telemetry, backend }: Session,
  { folder, settings: { log } }: LoadedConfig,
  { quiet = false, verbose = false }: { readonly quiet?: boolean; readonly verbose?: boolean },
): Observer {
  const sink = log.jsonl === undefined ? undefined : openLog(resolve(folder, log.jsonl));
  if (sink) EVENTS.forEach((event) => telemetry.on(event, (data) => sink.write(event, data)));
  const show = consoleProgress({ verbose });
  telemetry.on('warning', ({ message, plugin }) =>
    show.message(`warning${plugin ? ` of ${plugin}` : ''}: ${message}`),
  );
  if (!quiet) {
    show.message(describeBackend(backend, verbose));
    telemetry.on('start', show.start).on('step', show.step).on('epoch', show.epoch);
    telemetry.on('stage', (stage) => stage.count > 1 && show.message(describeStageEnd(stage)));
    telemetry.on('transform', ({ metrics }) => show.message(formatMetrics(metrics)));
    telemetry.on('report', (report) => show.message(formatReport(report)));
  }
  return {
    say: show.message,
    async stop() {
      show.stop();
      await sink?.close();
    },
  };
}

/** A file of telemetry that is this run's alone until it is closed. */
function openLog(path: string): JsonlSink {
  const folder = dirname(path);
  makeFolder(folder);
  const claim = claimPlace(folder, { file: basename(path) });
  const sink = jsonlSink(path);
  return { ...sink, close: () => sink.close().finally(() => claim.release()) };
}

/** What is longer than a line is in the telemetry's file. */
const LINE = 120;

function formatReport({ plugin, what, data }: TelemetryEvents['report']): string {
  const line = `${plugin}: ${what} ${JSON.stringify(data)}`;
  return line.length > LINE ? `${line.slice(0, LINE)} …` : line;
}

function describeStageEnd({ index, count, ...stage }: TelemetryEvents['stage']): string {
  return `stage ${index + 1}/${count}: ${describeStage(stage as Stage)}`;
}

function formatMetrics(metrics: Readonly<Record<string, number>>): string {
  const numbers = Object.entries(metrics).map(([name, value]) => `${name} ${formatNumber(value)}`);
  return `transformed | ${numbers.join('  ')}`;
}
