import { EspalierError } from '@espalier/core';
import Database from 'libsql';
import { parseRecord } from './check-record.js';
import type { Records } from './check-record.js';
import { addChecksum, readChecked } from './checksum.js';
import { appendReading, listReadings, mergeReadings } from './readings-file.js';
import type { TestReading } from './records.js';

/** How long to wait for another connection that is about to close, or a backup program. */
const PATIENCE_MS = 2000;

/** Format of the database: 3 has a checksum in each record. */
export const FORMAT = 3;

export const TABLES = `
  CREATE TABLE IF NOT EXISTS trials (
    id TEXT PRIMARY KEY, row TEXT NOT NULL, seed INTEGER NOT NULL, kind TEXT NOT NULL,
    failed INTEGER NOT NULL, record TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS crashes (id TEXT PRIMARY KEY, count INTEGER NOT NULL, progress TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS test_results (id TEXT PRIMARY KEY, record TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS test_readings (at TEXT NOT NULL, trials INTEGER NOT NULL, of TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS plan (record TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS environments (id TEXT PRIMARY KEY, record TEXT NOT NULL);
`;

/** Which table holds the records of a kind. */
export const TABLE_OF = {
  plan: 'plan',
  environment: 'environments',
  trial: 'trials',
  test: 'test_results',
} as const;

export type StoredKind = keyof typeof TABLE_OF;
export const STORED = Object.keys(TABLE_OF) as readonly StoredKind[];

export const OWN_TABLES: readonly string[] = [
  ...Object.values(TABLE_OF),
  'crashes',
  'test_readings',
];

/** Marks an error as one of the database's content. */
class Damage extends Error {
  readonly code = 'SQLITE_CORRUPT';
}

/**
 * Opens the file and checks its integrity, not that of its records.
 *
 * @throws EspalierError `study/store` for a file of a later release; errors of SQLite, `SQLITE_CORRUPT` among them.
 */
export function connect(file: string): Database.Database {
  const db = new Database(file, { timeout: PATIENCE_MS });
  try {
    checkFormat(db, file);
    checkIntegrity(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Names of the tables. */
export function listTables(db: Database.Database): readonly string[] {
  return selectBytes(
    db,
    "SELECT CAST(name AS BLOB) AS bytes FROM sqlite_master WHERE type = 'table'",
  ).map((bytes) => Buffer.from(bytes).toString());
}

export function readFormat(db: Database.Database): number {
  const [row] = db.pragma('user_version') as { user_version: number }[];
  return row?.user_version ?? 0;
}

/**
 * A column of bytes. Records are read like this only: text that is no UTF-8 makes libsql end the process.
 *
 * @param sql Names the column `bytes`.
 */
export function selectBytes(
  db: Database.Database,
  sql: string,
  values: readonly unknown[] = [],
): readonly Uint8Array[] {
  const rows = db.prepare(sql).all(values) as { readonly bytes: ArrayBuffer }[];
  return rows.map(({ bytes }) => new Uint8Array(bytes));
}

/** @throws an error with the code `SQLITE_CORRUPT` for a record that is not what was written. */
export function decodeRecord<K extends keyof Records>(kind: K, bytes: Uint8Array): Records[K] {
  try {
    return parseRecord(kind, readChecked(bytes));
  } catch (cause) {
    throw new Damage(`a record is damaged: ${(cause as Error).message}`, { cause });
  }
}

/** What earlier releases kept in the database; now it is in a file of its own. */
export function listOldReadings(db: Database.Database): readonly TestReading[] {
  const text = (column: string) => `CAST(${column} AS BLOB) AS ${column}`;
  const sql = `SELECT ${text('at')}, CAST(trials AS INTEGER) AS trials, ${text('of')} FROM test_readings ORDER BY rowid`;
  const rows = db.prepare(sql).all([]) as { at: ArrayBuffer; trials: number; of: ArrayBuffer }[];
  return rows.map(({ at, trials, of }) => {
    const [when, what] = [at, of].map((bytes) => Buffer.from(bytes).toString()) as [string, string];
    return { at: when, trials, of: what };
  });
}

/**
 * Reads every record.
 *
 * @throws an error with the code `SQLITE_CORRUPT` at the first that is damaged.
 */
export function checkRecords(db: Database.Database): void {
  for (const kind of STORED) {
    const sql = `SELECT CAST(record AS BLOB) AS bytes FROM ${TABLE_OF[kind]}`;
    for (const bytes of selectBytes(db, sql)) decodeRecord(kind, bytes);
  }
}

/**
 * Gives a database of an earlier release the form of this one: checksums in its records, readings of the test
 * data in their own file.
 */
export function upgrade(db: Database.Database, readings: string): void {
  const known = listReadings(readings);
  const old = mergeReadings(known, listOldReadings(db)).slice(known.length);
  old.forEach((each) => appendReading(readings, each));
  db.transaction(() => {
    for (const table of Object.values(TABLE_OF)) addChecksums(db, table);
    db.exec('DELETE FROM test_readings');
  })();
}

function addChecksums(db: Database.Database, table: string): void {
  const sql = `SELECT rowid AS row, CAST(record AS BLOB) AS bytes FROM ${table}`;
  const rows = db.prepare(sql).all([]) as { readonly row: number; readonly bytes: ArrayBuffer }[];
  for (const { row, bytes } of rows) {
    const record = addChecksum(readChecked(new Uint8Array(bytes)));
    db.prepare(`UPDATE ${table} SET record = ? WHERE rowid = ?`).run([record, row]);
  }
}

function checkIntegrity(db: Database.Database): void {
  const sql = 'SELECT CAST(integrity_check AS BLOB) AS bytes FROM pragma_integrity_check';
  const [found] = selectBytes(db, sql).map((bytes) => Buffer.from(bytes).toString());
  if (found !== 'ok') throw new Damage(found ?? 'its integrity cannot be checked');
  const other = listTables(db).find((name) => !OWN_TABLES.includes(name));
  if (other !== undefined) throw new Damage(`it has a table '${other}'`);
}

function checkFormat(db: Database.Database, file: string): void {
  const format = readFormat(db);
  if (format <= FORMAT) return;
  throw new EspalierError('study/store', {
    problem: `${file} was written by a later release: its format is ${format}, this release reads ${FORMAT}`,
    fix: 'Update @espalier/study, or use another dir. If no later release wrote it, it is damaged: move it away and run the study, whose results are in trials/ too.',
  });
}
