import { appendFileSync, closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError, readJson, writeJson } from '@espalier/base';
import { makeFolder } from '@espalier/base/node';

/** Appends events to a file, one JSON object a line. */
export interface JsonlSink {
  /** Appends an event at once. */
  write(event: string, data: object): void;
  /** Closes the file. */
  close(): Promise<void>;
}

/** An event read back, NaN and infinities too; `time` is ISO 8601. */
export interface JsonlEvent {
  /** ISO 8601, UTC. */
  readonly time: string;
  /** Its name. */
  readonly event: string;
  readonly [key: string]: unknown;
}

/** A line that is no event; numbered from 1. */
export interface JsonlSkip {
  /** Its number, from 1. */
  readonly line: number;
  /** Its text as it stands in the file. */
  readonly text: string;
}

/**
 * Opens a telemetry file for appending, and its folder. Each event is written at once, so that a
 * kill costs at most the line under way. A write that fails throws once; later events are dropped. NaN
 * and infinities are written as `{"$numberDouble":"NaN"}`.
 *
 * @throws EspalierError `telemetry/file` with path, errno and what to do; `write` throws
 * `json/not-json` on data that JSON cannot hold.
 * @example
 * const sink = jsonlSink('runs/a.jsonl');
 * session.telemetry.on('step', (data) => sink.write('step', data));
 */
export function jsonlSink(path: string): JsonlSink {
  const withFileErrors = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      throw fileError('telemetry/file', `cannot write telemetry to ${path}`, cause);
    }
  };
  const file = withFileErrors(() => open(path));
  let writable = true;
  let closed = false;
  return {
    write(event, data) {
      if (!writable) return;
      const line = encode(event, data);
      writable = false; // stays so if the next line throws
      withFileErrors(() => appendFileSync(file, line));
      writable = true;
    },
    async close() {
      if (closed) return;
      closed = true;
      writable = false;
      withFileErrors(() => closeSync(file));
    },
  };
}

function open(path: string): number {
  makeFolder(dirname(path));
  const file = openSync(path, 'a+');
  const last = Buffer.from('\n');
  const { size } = fstatSync(file);
  if (size > 0) readSync(file, last, 0, 1, size - 1);
  if (last.toString() !== '\n') appendFileSync(file, '\n'); // ends a line that a kill left broken
  return file;
}

function encode(event: string, data: object): string {
  const own = { time: new Date().toISOString(), event };
  return `${writeJson({ ...own, ...data, ...own }, event)}\n`;
}

/**
 * Reads what a sink wrote. Lines that a kill left broken are passed over and given as `skipped`.
 *
 * @throws EspalierError `telemetry/file` when the file cannot be read.
 * @example
 * const { events, skipped } = await readJsonl('runs/a/telemetry.jsonl');
 */
export async function readJsonl(
  path: string,
): Promise<{ readonly events: readonly JsonlEvent[]; readonly skipped: readonly JsonlSkip[] }> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw fileError('telemetry/file', `cannot read telemetry from ${path}`, cause);
  });
  const events: JsonlEvent[] = [];
  const skipped: JsonlSkip[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const event = decode(line);
    if (event) events.push(event);
    else if (line !== '') skipped.push({ line: i + 1, text: line });
  }
  return { events, skipped };
}

function decode(line: string): JsonlEvent | undefined {
  try {
    const value = readJson(line);
    const isEvent = typeof value === 'object' && value !== null && 'event' in value;
    return isEvent ? (value as JsonlEvent) : undefined;
  } catch {
    return undefined;
  }
}
