import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Database as Connection } from 'libsql';
import Database from 'libsql';
import { parseRecord } from './check-record.js';
import type { Records } from './check-record.js';
import { decodeRecord, listOldReadings, STORED, TABLE_OF } from './database.js';
import type { StoredKind } from './database.js';
import type { TestReading, TestRecord } from './records.js';

/** Files that SQLite keeps beside a database. */
const BESIDE = ['', '-wal', '-shm'];

/** What can still be read of a damaged database. */
export interface Salvage {
  readonly records: { readonly [K in StoredKind]: readonly Records[K][] };
  readonly readings: readonly TestReading[];
}

/**
 * Moves a damaged database aside; nothing is deleted.
 *
 * @returns The file that it is in now.
 */
export function moveAside(file: string): string {
  let target = '';
  for (let i = 1; target === '' || existsSync(target); i += 1) target = `${file}.damaged-${i}`;
  for (const end of BESIDE) if (existsSync(file + end)) renameSync(file + end, target + end);
  return target;
}

/** Reads from a damaged database what is whole; never throws. */
export function salvage(file: string): Salvage {
  const db = attempt(() => new Database(file));
  const list = <K extends StoredKind>(kind: K): readonly Records[K][] =>
    listRecords(db, TABLE_OF[kind]).flatMap(
      (bytes) => attempt(() => [decodeRecord(kind, bytes)]) ?? [],
    );
  const records = Object.fromEntries(STORED.map((kind) => [kind, list(kind)]));
  const readings = (db && attempt(() => listOldReadings(db))) ?? [];
  attempt(() => db?.close());
  return { records: records as unknown as Salvage['records'], readings };
}

/** Test metrics that trials computed when they ended: sealed, whatever the lost database said. */
export function listSealedTests(dir: string): readonly TestRecord[] {
  const folder = join(dir, 'trials');
  const ids = attempt(() => readdirSync(folder)) ?? [];
  return ids.flatMap((id): readonly TestRecord[] => {
    const text = attempt(() => readFileSync(join(folder, id, 'result.json'), 'utf8'));
    const result = text === undefined ? undefined : attempt(() => parseRecord('result', text));
    return result?.test ? [{ id, ...result.test, sealed: true }] : [];
  });
}

/** From both ends, so that only what is on a damaged page is lost. */
function listRecords(db: Connection | undefined, table: string): readonly Uint8Array[] {
  const found = new Map<number, Uint8Array>();
  for (const [from, where, order] of ENDS) {
    let at: number = from;
    for (;;) {
      const sql = `SELECT rowid AS row, CAST(record AS BLOB) AS bytes FROM ${table} WHERE rowid ${where} ? ORDER BY rowid ${order} LIMIT 1`;
      const next = attempt(() => db!.prepare(sql).get([at])) as Row | undefined;
      if (!next || found.has(next.row)) break;
      found.set(next.row, new Uint8Array(next.bytes));
      at = next.row;
    }
  }
  return [...found].sort(([a], [b]) => a - b).map(([, bytes]) => bytes);
}

const ENDS = [
  [-1, '>', 'ASC'],
  [Number.MAX_SAFE_INTEGER, '<', 'DESC'],
] as const;

interface Row {
  readonly row: number;
  readonly bytes: ArrayBuffer;
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
