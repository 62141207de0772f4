import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { keyedRng } from '@espalier/base';
import {
  analysePlan,
  openPacked,
  packStudy,
  runStudy,
  StudyStore,
  testStudy,
  unpackStudy,
} from '@espalier/study';
import type { LoadedStudy, StudyEvent, TrialJob } from '@espalier/study';
import Database from 'libsql';
import { describe, expect, test } from 'vitest';
import {
  done,
  factors,
  findingsOf,
  metricsOf,
  pretend,
  study,
  temporary,
  trialRecord,
} from './studies.js';

const end = (job: TrialJob) =>
  job.task === 'test'
    ? ({ status: 'tested', metrics: { accuracy: 0.25 } } as const)
    : done(metricsOf(job));
const fileOf = ({ dir }: LoadedStudy) => join(dir, 'study.db');
const readingsOf = ({ dir }: LoadedStudy) => join(dir, 'test-readings.jsonl');

/** A finished study in one file, whose trials have left their results in trials/. */
async function finished(): Promise<LoadedStudy> {
  const loaded = await study({ factors });
  const { executor, jobs } = pretend(end);
  await runStudy(loaded, { executor });
  for (const job of jobs) {
    mkdirSync(job.dir, { recursive: true });
    const ended = done(metricsOf(job));
    writeFileSync(join(job.dir, 'result.json'), JSON.stringify('result' in ended && ended.result));
  }
  settle(fileOf(loaded));
  return loaded;
}

/** All that SQLite keeps in other files moves into the one of the database. */
function settle(file: string): void {
  const db = new Database(file);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}

/** Changes the first byte of a text wherever the file has it, in pages that are free now too. */
function damage(file: string, text: string, change: (byte: number) => number): void {
  settle(file);
  const bytes = readFileSync(file);
  expect(bytes.indexOf(text)).toBeGreaterThan(0);
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
    bytes[at] = change(bytes[at]!);
  }
  writeFileSync(file, bytes);
}

async function runAgain(loaded: LoadedStudy) {
  const events: StudyEvent[] = [];
  const { executor, jobs } = pretend(end);
  const outcome = await runStudy(loaded, { executor, onEvent: (event) => events.push(event) });
  const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  return { outcome, jobs, warnings };
}

const metricsIn = (loaded: LoadedStudy) => {
  const store = StudyStore.read(loaded.dir)!;
  const { rows } = analysePlan(store.plan()!, store);
  return rows.map(({ metrics }) => [...metrics[0]!.values]);
};

describe('a damaged database', () => {
  test.each([
    ['a bit that makes no UTF-8 of it', (byte: number) => byte | 0x80],
    ['another digit', (byte: number) => byte ^ 1],
  ])(
    'a record with %s is refused where it is read, and made anew by run',
    async (_what, change) => {
      const loaded = await finished();
      const before = metricsIn(loaded);
      damage(fileOf(loaded), '0.32', change);
      expect(() => StudyStore.read(loaded.dir)!.trials()).toThrow(
        /study\.db: a record is damaged.*espalier study run makes a new one/s,
      );
      const { outcome, jobs, warnings } = await runAgain(loaded);
      expect(jobs).toEqual([]);
      expect(outcome).toMatchObject({ status: 'completed', ran: 1, failed: [] });
      expect(warnings).toEqual([
        expect.stringMatching(/study\.db was damaged.*study\.db\.damaged-1.*has the 5 trials/s),
      ]);
      expect(metricsIn(loaded)).toEqual(before);
      expect(existsSync(`${fileOf(loaded)}.damaged-1`)).toBe(true);
      expect((await runAgain(loaded)).warnings).toEqual([]);
    },
  );

  test.each([
    ['no database', 'these are no pages of a database at all, whatever the name says'],
    ['a head and noise', `SQLite format 3\0${'\x7f'.repeat(5000)}`],
  ])('that is %s is made anew from trials/', async (_what, bytes) => {
    const loaded = await finished();
    const before = metricsIn(loaded);
    writeFileSync(fileOf(loaded), bytes);
    expect(() => StudyStore.read(loaded.dir)).toThrow(/study\.db.*espalier study run makes/s);
    const { outcome, jobs } = await runAgain(loaded);
    expect(jobs).toEqual([]);
    expect(outcome).toMatchObject({ status: 'completed', ran: 6 });
    expect(metricsIn(loaded)).toEqual(before);
  });

  test('a table of another name is no lost study', async () => {
    const loaded = await finished();
    const bytes = readFileSync(fileOf(loaded)).toString('latin1');
    const renamed = bytes.replace('CREATE TABLE trials (', 'CREATE TABLE trialt (');
    writeFileSync(
      fileOf(loaded),
      renamed.replace('tabletrialstrials', 'tabletrialttrialt'),
      'latin1',
    );
    expect(() => StudyStore.read(loaded.dir)).toThrow(/espalier study run makes/);
    expect((await runAgain(loaded)).outcome).toMatchObject({ status: 'completed', ran: 6 });
  });

  test('any flipped bit is found or changes nothing, and what was found stays', async () => {
    const loaded = await finished();
    const before = metricsIn(loaded);
    const whole = readFileSync(fileOf(loaded));
    const draw = keyedRng('bits', 'damage');
    const dir = temporary();
    const moved = { ...loaded, dir };
    for (let i = 0; i < 60; i += 1) {
      for (const name of readdirSync(dir)) rmSync(join(dir, name), { recursive: true });
      const bytes = Buffer.from(whole);
      bytes[Math.floor(draw() * bytes.length)]! ^= 1 << Math.floor(draw() * 8);
      writeFileSync(fileOf(moved), bytes);
      const found = readAll(moved);
      if (found !== undefined) expect(found).toEqual(before);
    }
  });

  /** Or that it cannot be read, by its error. */
  function readAll(loaded: LoadedStudy) {
    try {
      return metricsIn(loaded);
    } catch (error) {
      expect(error).toMatchObject({ code: 'study/store' });
      return undefined;
    }
  }

  test('sealed test metrics are taken from trials/ too', async () => {
    const loaded = await study({ seeds: 1, test: 'after-each-trial' });
    const ended = done({ accuracy: 0.5 });
    const sealed = { data: 'x', metrics: { accuracy: 0.125 } };
    const result = { ...('result' in ended && ended.result), test: sealed } as never;
    const { executor, jobs } = pretend(() => ({ status: 'done', result }));
    await runStudy(loaded, { executor });
    mkdirSync(jobs[0]!.dir, { recursive: true });
    writeFileSync(join(jobs[0]!.dir, 'result.json'), JSON.stringify(result));
    damage(fileOf(loaded), '0.125', () => 0x39);
    StudyStore.open(loaded.dir).close();
    const tests = StudyStore.read(loaded.dir)!.tests();
    expect(tests).toEqual([{ id: jobs[0]!.id, ...sealed, sealed: true }]);
  });

  test('a lock file with other content is made anew', async () => {
    const loaded = await finished();
    writeFileSync(
      join(loaded.dir, 'running.lock'),
      'no database, but long enough to be read as one',
    );
    expect((await runAgain(loaded)).outcome).toMatchObject({ ran: 0 });
  });
});

describe('that the test split was read', () => {
  async function readOnce() {
    const loaded = await finished();
    const { planner, findings } = await findingsOf(loaded);
    await testStudy(planner, findings, pretend(end));
    return loaded;
  }
  async function readAnew({ dir }: LoadedStudy) {
    const changed = await study({ factors, seeds: 3, dir });
    await runStudy(changed, pretend(end));
    const { planner, findings } = await findingsOf(changed);
    await testStudy(planner, findings, pretend(end));
  }
  const damageAll = (loaded: LoadedStudy) => {
    settle(fileOf(loaded));
    writeFileSync(fileOf(loaded), 'noise');
  };

  test('stays known where the database is damaged or gone', async () => {
    const loaded = await readOnce();
    const [reading] = StudyStore.read(loaded.dir)!.readings();
    damageAll(loaded);
    await runAgain(loaded);
    expect(StudyStore.read(loaded.dir)!.readings()).toEqual([reading]);
    for (const end of ['', '-wal', '-shm']) rmSync(fileOf(loaded) + end, { force: true });
    await runAgain(loaded);
    expect(StudyStore.read(loaded.dir)!.readings()).toEqual([reading]);
    await expect(readAnew(loaded)).rejects.toMatchObject({ code: 'study/test-read' });
  });

  test('is of what the study says, whatever records of others say that they ran with', async () => {
    const loaded = await finished();
    const store = StudyStore.open(loaded.dir);
    const forged = store.trials().map((each) => ({ ...each, sets: ['model=./evil.ts#model'] }));
    store.close();
    rmSync(fileOf(loaded), { force: true });
    const other = StudyStore.open(loaded.dir);
    forged.forEach((each) => other.end(each));
    other.close();
    const { planner, findings } = await findingsOf(loaded);
    const { executor, jobs } = pretend(end);
    await testStudy(planner, findings, { executor });
    const sets = jobs.map((job) => [job.row, ...job.sets]);
    expect(sets.filter(([row]) => row === 'narrow')).toEqual([
      ['narrow', 'model.options.units=4'],
      ['narrow', 'model.options.units=4'],
    ]);
    expect(sets.flat().join()).not.toContain('evil');
  });

  test('the same reading goes on without being counted again', async () => {
    const loaded = await readOnce();
    damageAll(loaded);
    await runAgain(loaded);
    const { planner, findings } = await findingsOf(loaded);
    const { executor, jobs } = pretend(end);
    await testStudy(planner, findings, { executor });
    expect(jobs).toHaveLength(6);
    expect(StudyStore.read(loaded.dir)!.readings()).toHaveLength(1);
  });

  test.each([
    ['a flipped bit', (text: string) => text.replace('trials', 'trialr')],
    ['a line cut short', (text: string) => text.slice(0, 30)],
  ])('a line with %s counts as a reading', async (_what, change) => {
    const loaded = await readOnce();
    writeFileSync(readingsOf(loaded), change(readFileSync(readingsOf(loaded), 'utf8')));
    const [reading] = StudyStore.read(loaded.dir)!.readings();
    expect(reading).toEqual({ at: 'unknown', trials: 0, of: '' });
    await expect(readAnew(loaded)).rejects.toThrow(/read at a time that is not known/);
  });

  test('is kept once, and unpacked with the study', async () => {
    const loaded = await readOnce();
    const packed = openPacked(packStudy(StudyStore.read(loaded.dir)!), 'a');
    const dir = temporary();
    unpackStudy(packed, dir);
    const store = StudyStore.open(dir);
    packed.readings().forEach((each) => store.keepReading(each));
    expect(store.readings()).toEqual(packed.readings());
    store.close();
  });
});

describe('a database of an earlier release', () => {
  /** As format 2 was: no checksums, readings in a table. */
  function makeEarlier(): string {
    const dir = temporary();
    StudyStore.open(dir).close();
    const db = new Database(join(dir, 'study.db'));
    const trial = trialRecord('a', done({ accuracy: 0.5 }));
    db.prepare('INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?)').run([
      ...['a', 'base', 1, 'main', 0, JSON.stringify(trial)],
    ]);
    db.prepare('INSERT INTO test_readings VALUES (?, ?, ?)').run(['2026-01-01', 2, 'hash']);
    db.exec('PRAGMA user_version = 2');
    db.close();
    return dir;
  }
  const expected = [{ at: '2026-01-01', trials: 2, of: 'hash' }];

  test('is read as it is, and not changed', () => {
    const dir = makeEarlier();
    const copy = temporary();
    cpSync(dir, copy, { recursive: true });
    const store = StudyStore.read(dir)!;
    expect(store.trials()).toEqual([trialRecord('a', done({ accuracy: 0.5 }))]);
    expect(store.readings()).toEqual(expected);
    store.close();
    const content = (folder: string) => readFileSync(join(folder, 'study.db'));
    expect(content(dir)).toEqual(content(copy));
  });

  test('gets checksums, and a file of readings, when the study goes on', () => {
    const dir = makeEarlier();
    for (let i = 0; i < 2; i += 1) {
      const store = StudyStore.open(dir);
      expect(store.trials()).toHaveLength(1);
      expect(store.readings()).toEqual(expected);
      store.close();
    }
    expect(readFileSync(join(dir, 'test-readings.jsonl'), 'utf8').trim().split('\n')).toHaveLength(
      1,
    );
    damage(join(dir, 'study.db'), '0.5', () => 0x31);
    expect(() => StudyStore.read(dir)!.trials()).toThrow(/checksum/);
  });
});

test('a result in trials/ that is none is trained again', async () => {
  const loaded = await study({ seeds: 3 });
  const first = pretend(end);
  await runStudy(loaded, first);
  const other = await study({ seeds: 3, dir: temporary() });
  const wrong = ['{"metrics":null}', `${'['.repeat(50_000)}${']'.repeat(50_000)}`, 'null'];
  first.jobs.forEach(({ dir }, i) => {
    const folder = dir.replace(loaded.dir, other.dir);
    mkdirSync(folder, { recursive: true });
    appendFileSync(join(folder, 'result.json'), wrong[i]!);
  });
  const second = pretend(end);
  expect(await runStudy(other, second)).toMatchObject({ status: 'completed', ran: 3, failed: [] });
  expect(second.jobs).toHaveLength(3);
});
