import { appendFileSync, closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError } from './file-error.js';

/** Appends events to a file, one JSON object a line. */
export interface JsonlSink {
  write(event: string, data: object): void;
  close(): Promise<void>;
}

/** An event read back; `time` is ISO 8601. Numbers that are not finite are strings: `'NaN'`, … */
export interface JsonlEvent {
  readonly time: string;
  readonly event: string;
  readonly [key: string]: unknown;
}

/**
 * Opens a telemetry file for appending, and its folder. Each event is written at once, so that a
 * kill costs at most the line under way. A write that fails throws once; later events are dropped.
 *
 * @throws EspalierError `telemetry/file` with path, errno and what to do.
 * @example
 * const sink = jsonlSink('runs/a.jsonl');
 * session.telemetry.on('step', (data) => sink.write('step', data));
 */
export function jsonlSink(path: string): JsonlSink {
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      throw fileError('telemetry/file', `cannot write telemetry to ${path}`, cause);
    }
  };
  let state: 'fresh' | 'open' | 'failed' | 'closed' = 'fresh';
  const file = guarded(() => {
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, 'a');
  });
  return {
    write(event, data) {
      if (state === 'failed' || state === 'closed') return;
      // An empty line first ends a line that a kill left broken.
      const line = `${state === 'fresh' ? '\n' : ''}${encode(event, data)}\n`;
      state = 'failed';
      guarded(() => appendFileSync(file, line));
      state = 'open';
    },
    async close() {
      if (state === 'closed') return;
      state = 'closed';
      guarded(() => {
        fsyncSync(file);
        closeSync(file);
      });
    },
  };
}

function encode(event: string, data: object): string {
  const own = { time: new Date().toISOString(), event };
  return JSON.stringify({ ...own, ...data, ...own }, (_key, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
}

/**
 * Reads what a sink wrote. Lines that a kill left broken are passed over and named in `skipped`
 * (line numbers, from 1).
 *
 * @throws EspalierError `telemetry/file` when the file cannot be read.
 */
export async function readJsonl(
  path: string,
): Promise<{ readonly events: readonly JsonlEvent[]; readonly skipped: readonly number[] }> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw fileError('telemetry/file', `cannot read telemetry from ${path}`, cause);
  });
  const events: JsonlEvent[] = [];
  const skipped: number[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const event = decode(line);
    if (event) events.push(event);
    else skipped.push(i + 1);
  }
  return { events, skipped };
}

function decode(line: string): JsonlEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isEvent = typeof value === 'object' && value !== null && 'event' in value;
    return isEvent ? (value as JsonlEvent) : undefined;
  } catch {
    return undefined;
  }
}
