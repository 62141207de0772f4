import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { makeFolder } from '@espalier/base/node';
import { EspalierError, fileError, writeJson } from '@espalier/core';
import type Database from 'libsql';
import type { Environment } from '../plan/environment.js';
import { hashJson } from '../plan/hash-json.js';
import type { StudyPlan } from '../plan/study-plan.js';
import type { Records } from './check-record.js';
import { addChecksum } from './checksum.js';
import {
  checkRecords,
  connect,
  decodeRecord,
  FORMAT,
  listOldReadings,
  listTables,
  OWN_TABLES,
  readFormat,
  selectBytes,
  TABLE_OF,
  TABLES,
  upgrade,
} from './database.js';
import type { StoredKind } from './database.js';
import { takeLock } from './lock.js';
import { appendReading, listReadings, mergeReadings, readingsFile } from './readings-file.js';
import { listSealedTests, moveAside, salvage } from './rebuild.js';
import { hasResult } from './records.js';
import type { StudyRecords, TestReading, TestRecord, TrialRecord } from './records.js';
import { isDamage, translateStoreErrors } from './store-errors.js';

/**
 * What a study has found, in one SQLite file. One process writes; any number may read meanwhile.
 *
 * @throws EspalierError (each method) `study/store` with the trouble of the file: locked,
 * read-only, damaged, of a later release, disk full.
 */
export class StudyStore implements StudyRecords {
  readonly #db: Database.Database;
  /** What was damaged when this was opened, and what became of it. */
  readonly repair: string | undefined;

  private constructor(
    private readonly dir: string,
    db: Database.Database,
    private readonly lock: Database.Database | undefined,
    damaged?: { readonly aside: string; readonly why: string },
  ) {
    this.#db = db;
    this.repair = damaged && this.#takeOver(damaged);
  }

  get file(): string {
    return fileIn(this.dir);
  }

  /**
   * Opens the store of a study for writing, made if there is none. A damaged database is moved aside, and a
   * new one is made of what can be read of it; the study's next run finds the other results in `trials/`.
   *
   * @throws EspalierError also `study/running` where another process runs the study.
   */
  static open(dir: string): StudyStore {
    const file = fileIn(dir);
    try {
      makeFolder(dir);
    } catch (cause) {
      throw fileError('study/store', `cannot make ${dir}`, cause);
    }
    const lock = takeStudy(dir);
    try {
      return translateStoreErrors(file, () => {
        const db = tryOpen(dir);
        if (!(db instanceof Error)) return new StudyStore(dir, db, lock);
        const aside = moveAside(file);
        return new StudyStore(dir, openWhole(dir), lock, { aside, why: db.message });
      });
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /** Opens it to read; `undefined` if there is none. */
  static read(dir: string): StudyStore | undefined {
    const file = fileIn(dir);
    if (!existsSync(file)) return undefined;
    return translateStoreErrors(file, () => {
      const db = connect(file);
      const known = listTables(db).length;
      if (known > 0 && known < OWN_TABLES.length) db.exec(TABLES); // of an early release
      if (known > 0) return new StudyStore(dir, db, undefined);
      db.close(); // whoever made it was killed before there was anything in it
      return undefined;
    });
  }

  close(): void {
    // Records of the log have no second copy: one damaged bit there would drop all that follow.
    if (this.lock) this.#db.pragma('wal_checkpoint(PASSIVE)');
    this.#db.close();
    this.lock?.close();
  }

  /** The plan of the newest run. */
  plan(): StudyPlan | undefined {
    return this.#list('plan')[0];
  }

  /** Keeps it in place of the one before. */
  keepPlan(plan: StudyPlan): void {
    this.#run('INSERT OR REPLACE INTO plan (rowid, record) VALUES (1, ?)', [encode(plan)]);
  }

  environments(): ReadonlyMap<string, Environment> {
    const sql = (column: string) =>
      `SELECT CAST(${column} AS BLOB) AS bytes FROM environments ORDER BY id`;
    return translateStoreErrors(this.file, () => {
      const ids = selectBytes(this.#db, sql('id')).map((bytes) => Buffer.from(bytes).toString());
      const found = selectBytes(this.#db, sql('record'));
      return new Map(ids.map((id, i) => [id, decodeRecord('environment', found[i]!)] as const));
    });
  }

  keepEnvironment(id: string, environment: Environment): void {
    this.#run('INSERT OR IGNORE INTO environments VALUES (?, ?)', [id, encode(environment)]);
  }

  /** Writes all of it, or nothing; reads what was there at one moment, while another process writes. */
  together<T>(work: () => T): T {
    return translateStoreErrors(this.file, () => this.#db.transaction(work)() as T);
  }

  trial(id: string): TrialRecord | undefined {
    return this.#list('trial', 'WHERE id = ?', [id])[0];
  }

  trials(): readonly TrialRecord[] {
    return this.#list('trial', 'ORDER BY rowid');
  }

  /** Keeps how a trial ended; the first end of an id counts, unless that was a failure. */
  end(record: TrialRecord): void {
    const { id, row, seed, kind } = record;
    const known = this.trial(id);
    if (known === undefined || !hasResult(known)) {
      const failed = hasResult(record) ? 0 : 1;
      this.#run(
        `INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
         SET failed = excluded.failed, record = excluded.record`,
        [id, row, seed, kind, failed, encode(record)],
      );
    }
    this.#run('DELETE FROM crashes WHERE id = ?', [id]);
  }

  /**
   * Counts a crash, and gives back how many there were without progress between them.
   *
   * @param progress What the trial had saved: another text than the last time starts the count anew.
   */
  crash(id: string, progress: string): number {
    this.#run(
      `INSERT INTO crashes VALUES (?, 1, ?) ON CONFLICT (id) DO UPDATE SET
       count = CASE WHEN progress = excluded.progress THEN count + 1 ELSE 1 END,
       progress = excluded.progress`,
      [id, progress],
    );
    const row = translateStoreErrors(this.file, () =>
      this.#db
        .prepare('SELECT CAST(count AS INTEGER) AS count FROM crashes WHERE id = ?')
        .get([id]),
    ) as { count: number };
    return row.count;
  }

  tests(): readonly TestRecord[] {
    return this.#list('test', 'ORDER BY rowid');
  }

  /** Those of the file beside the database; of a study of an earlier release also those in it. */
  readings(): readonly TestReading[] {
    const old = translateStoreErrors(this.file, () => listOldReadings(this.#db));
    return mergeReadings(old, listReadings(readingsFile(this.dir)));
  }

  keepTest(record: TestRecord): void {
    this.#run('INSERT OR REPLACE INTO test_results VALUES (?, ?)', [record.id, encode(record)]);
  }

  /** Keeps it where a damaged database cannot take it along; the same reading is kept once. */
  keepReading({ at, trials, of }: TestReading): void {
    const file = readingsFile(this.dir);
    const known = listReadings(file);
    const added = mergeReadings(known, [{ at, trials, of }]).slice(known.length);
    added.forEach((each) => appendReading(file, each));
  }

  /** Returns what was done, in words. */
  #takeOver({ aside, why }: { readonly aside: string; readonly why: string }): string {
    const { records, readings } = salvage(aside);
    readings.forEach((each) => this.keepReading(each));
    this.together(() => {
      records.plan.slice(0, 1).forEach((plan) => this.keepPlan(plan));
      records.environment.forEach((each) => this.keepEnvironment(environmentId(each), each));
      records.trial.forEach((trial) => this.end(trial));
      listSealedTests(this.dir).forEach((test) => this.keepTest(test));
      records.test.forEach((test) => this.keepTest(test));
    });
    const kept = records.trial.length;
    return `${basename(this.file)} was damaged (${why}) and is now ${basename(aside)}. A new one has the ${kept} trials that could be read; results that it lost are read from trials/.`;
  }

  #run(sql: string, values: readonly unknown[]): void {
    translateStoreErrors(this.file, () => this.#db.prepare(sql).run(values));
  }

  #list<K extends StoredKind>(
    kind: K,
    rest = '',
    values: readonly unknown[] = [],
  ): readonly Records[K][] {
    const sql = `SELECT CAST(record AS BLOB) AS bytes FROM ${TABLE_OF[kind]} ${rest}`;
    return translateStoreErrors(this.file, () =>
      selectBytes(this.#db, sql, values).map((bytes) => decodeRecord(kind, bytes)),
    );
  }
}

/** The key of an environment. */
export const environmentId = (environment: Environment): string =>
  hashJson(environment).slice(0, 16);

const fileIn = (dir: string): string => join(dir, 'study.db');

const encode = (record: object): string => addChecksum(writeJson(record, 'record'));

/** The database, or in what it is damaged. */
function tryOpen(dir: string): Database.Database | Error {
  try {
    return openWhole(dir);
  } catch (error) {
    if (isDamage(error)) return error as Error;
    throw error;
  }
}

/** Opens it for writing; one of an earlier release gets the form of this one. */
function openWhole(dir: string): Database.Database {
  const db = connect(fileIn(dir));
  try {
    db.pragma('journal_mode = WAL');
    db.exec(TABLES);
    checkRecords(db);
    if (readFormat(db) < FORMAT) upgrade(db, readingsFile(dir));
    db.exec(`PRAGMA user_version = ${FORMAT}`); // refused where another program writes
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Held by the process that runs the study. */
function takeStudy(dir: string): Database.Database {
  const lock = takeLock(join(dir, 'running.lock'));
  if (lock) return lock;
  throw new EspalierError('study/running', {
    problem: `another process runs the study in ${dir}`,
    fix: 'Wait for it, stop it, or look at it: espalier study status.',
  });
}
