import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { EspalierError, fileError, readJson, writeJson } from '@espalier/core';
import Database from 'libsql';
import type { Environment } from '../plan/environment.js';
import type { StudyPlan } from '../plan/study-plan.js';
import { takeLock } from './lock.js';
import type { StudyRecords, TestReading, TestRecord, TrialRecord } from './records.js';
import { translateStoreErrors } from './store-errors.js';

/** How long to wait for another connection that is about to close, or a backup program. */
const PATIENCE_MS = 2000;

/** Format of the database. */
const FORMAT = 2;

const TABLES = `
  CREATE TABLE IF NOT EXISTS trials (
    id TEXT PRIMARY KEY, row TEXT NOT NULL, seed INTEGER NOT NULL, kind TEXT NOT NULL,
    failed INTEGER NOT NULL, record TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS crashes (id TEXT PRIMARY KEY, count INTEGER NOT NULL, progress TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS test_results (id TEXT PRIMARY KEY, record TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS test_readings (at TEXT NOT NULL, trials INTEGER NOT NULL, of TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS plan (record TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS environments (id TEXT PRIMARY KEY, record TEXT NOT NULL);
  PRAGMA user_version = ${FORMAT};
`;

/**
 * What a study has found, in one SQLite file. One process writes; any number may read meanwhile.
 *
 * @throws EspalierError (each method) `study/store` with the trouble of the file: locked,
 * read-only, damaged, of a later release, disk full.
 */
export class StudyStore implements StudyRecords {
  readonly #db: Database.Database;

  private constructor(
    readonly file: string,
    db: Database.Database,
    private readonly lock: Database.Database | undefined,
  ) {
    this.#db = db;
  }

  /**
   * Opens the store of a study for writing, made if there is none.
   *
   * @throws EspalierError also `study/running` where another process runs the study.
   */
  static open(dir: string): StudyStore {
    const file = join(dir, 'study.db');
    try {
      mkdirSync(dir, { recursive: true });
    } catch (cause) {
      throw fileError('study/store', `cannot make ${dir}`, cause);
    }
    const lock = takeStudy(dir);
    try {
      return translateStoreErrors(file, () => {
        const db = connect(file);
        db.pragma('journal_mode = WAL');
        db.exec(TABLES);
        return new StudyStore(file, db, lock);
      });
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /** Opens it to read; `undefined` if there is none. */
  static read(dir: string): StudyStore | undefined {
    const file = join(dir, 'study.db');
    if (!existsSync(file)) return undefined;
    return translateStoreErrors(file, () => {
      const db = connect(file);
      const format = readFormat(db);
      if (format > 0 && format < FORMAT) db.exec(TABLES);
      if (format > 0) return new StudyStore(file, db, undefined);
      db.close(); // whoever made it was killed before there was anything in it
      return undefined;
    });
  }

  close(): void {
    this.#db.close();
    this.lock?.close();
  }

  /** The plan of the newest run. */
  plan(): StudyPlan | undefined {
    return this.#get<StudyPlan>('SELECT record FROM plan');
  }

  /** Keeps it in place of the one before. */
  keepPlan(plan: StudyPlan): void {
    const text = writeJson(plan, 'plan');
    this.#run('INSERT OR REPLACE INTO plan (rowid, record) VALUES (1, ?)', [text]);
  }

  environments(): ReadonlyMap<string, Environment> {
    const sql = 'SELECT id, record FROM environments ORDER BY id';
    const rows = translateStoreErrors(this.file, () => this.#db.prepare(sql).all());
    return new Map(
      rows.map((row) => [(row as { id: string }).id, parseRecord<Environment>(row)] as const),
    );
  }

  keepEnvironment(id: string, environment: Environment): void {
    this.#run('INSERT OR IGNORE INTO environments VALUES (?, ?)', [
      id,
      writeJson(environment, 'environment'),
    ]);
  }

  /** Writes all of it, or nothing; reads what was there at one moment, while another process writes. */
  together<T>(work: () => T): T {
    return translateStoreErrors(this.file, () => this.#db.transaction(work)() as T);
  }

  trial(id: string): TrialRecord | undefined {
    return this.#get<TrialRecord>('SELECT record FROM trials WHERE id = ?', id);
  }

  trials(): readonly TrialRecord[] {
    return this.#all<TrialRecord>('SELECT record FROM trials ORDER BY rowid');
  }

  /** Keeps how a trial ended; the first end of an id counts, unless that was a failure. */
  end(record: TrialRecord): void {
    const { id, row, seed, kind } = record;
    const failed = 'failure' in record ? 1 : 0;
    this.#run(
      `INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
       SET failed = excluded.failed, record = excluded.record WHERE trials.failed = 1`,
      [id, row, seed, kind, failed, writeJson(record, 'record')],
    );
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
      this.#db.prepare('SELECT count FROM crashes WHERE id = ?').get([id]),
    ) as { count: number };
    return row.count;
  }

  tests(): readonly TestRecord[] {
    return this.#all<TestRecord>('SELECT record FROM test_results ORDER BY rowid');
  }

  readings(): readonly TestReading[] {
    const sql = 'SELECT at, trials, of FROM test_readings ORDER BY rowid';
    const rows = translateStoreErrors(this.file, () =>
      this.#db.prepare(sql).all(),
    ) as TestReading[];
    return rows.map(({ at, trials, of }) => ({ at, trials, of }));
  }

  keepTest(record: TestRecord): void {
    this.#run('INSERT OR REPLACE INTO test_results VALUES (?, ?)', [
      record.id,
      writeJson(record, 'record'),
    ]);
  }

  keepReading({ at, trials, of }: TestReading): void {
    this.#run('INSERT INTO test_readings VALUES (?, ?, ?)', [at, trials, of]);
  }

  #run(sql: string, values: readonly unknown[]): void {
    translateStoreErrors(this.file, () => this.#db.prepare(sql).run(values));
  }

  #get<T>(sql: string, ...values: readonly unknown[]): T | undefined {
    const row = translateStoreErrors(this.file, () => this.#db.prepare(sql).get(values));
    return row === undefined ? undefined : parseRecord<T>(row);
  }

  #all<T>(sql: string): T[] {
    return translateStoreErrors(this.file, () => this.#db.prepare(sql).all()).map((row) =>
      parseRecord<T>(row),
    );
  }
}

function parseRecord<T>(row: unknown): T {
  return readJson((row as { record: string }).record) as T;
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

function connect(file: string): Database.Database {
  const db = new Database(file, { timeout: PATIENCE_MS });
  try {
    checkFormat(db, file);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function readFormat(db: Database.Database): number {
  const [row] = db.pragma('user_version') as { user_version: number }[];
  return row?.user_version ?? 0;
}

function checkFormat(db: Database.Database, file: string): void {
  const format = readFormat(db);
  if (format <= FORMAT) return;
  throw new EspalierError('study/store', {
    problem: `${file} was written by a later release: its format is ${format}, this release reads ${FORMAT}`,
    fix: 'Update @espalier/study, or use another dir.',
  });
}
