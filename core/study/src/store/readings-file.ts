import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileError, writeJson } from '@espalier/core';
import { parseRecord } from './check-record.js';
import { addChecksum, readChecked } from './checksum.js';
import type { TestReading } from './records.js';

/** Beside the database, which may be damaged or moved away: that the test split was read stays known. */
export const readingsFile = (dir: string): string => join(dir, 'test-readings.jsonl');

/** When a reading was whose line cannot be read. */
export const UNKNOWN_TIME = 'unknown';
const DAMAGED: TestReading = { at: UNKNOWN_TIME, trials: 0, of: '' };

/**
 * The readings in a file, in order; none where there is no file. A damaged line counts as a reading.
 *
 * @throws EspalierError `study/store` for a file that cannot be read.
 */
export function listReadings(file: string): readonly TestReading[] {
  const lines = splitLines(readBytes(file));
  return lines.map((line) => {
    try {
      return parseRecord('reading', readChecked(line));
    } catch {
      return DAMAGED;
    }
  });
}

/** The first, and those of the others that are not among them. */
export function mergeReadings(
  first: readonly TestReading[],
  others: readonly TestReading[],
): readonly TestReading[] {
  const isKnown = ({ at, of }: TestReading) =>
    first.some((each) => each.at === at && each.of === of);
  return [...first, ...others.filter((each) => !isKnown(each))];
}

/**
 * Adds a reading; it is on the disk when this returns.
 *
 * @throws EspalierError `study/store`.
 */
export function appendReading(file: string, reading: TestReading): void {
  try {
    const handle = openSync(file, 'a');
    try {
      writeSync(handle, `${addChecksum(writeJson(reading, 'reading'))}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch (cause) {
    throw fileError('study/store', `cannot write ${file}`, cause);
  }
}

function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return new Uint8Array();
    throw fileError('study/store', `cannot read ${file}`, cause);
  }
}

function splitLines(bytes: Uint8Array): readonly Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, start);
    const stop = end < 0 ? bytes.length : end;
    if (stop > start) lines.push(bytes.subarray(start, stop));
    start = stop + 1;
  }
  return lines;
}

const NEWLINE = 10;
