import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { analyse, runStudy, StudyStore } from '@espalier/study';
import Database from 'libsql';
import { expect, test } from 'vitest';
import { done, planOf, pretend, study, temporary, trialRecord } from './studies.js';

const end = done({ accuracy: 0.5 });
const record = (id: string, outcome?: object) => trialRecord(id, end, outcome);
const failed = (id: string) => record(id, { failure: { code: 'study/crashed', message: 'gone' } });
test('keeps what ended; a result stays, a failure gives way', () => {
  const dir = temporary();
  const store = StudyStore.open(dir);
  store.end(record('a'));
  store.end(failed('a'));
  store.end(failed('b'));
  store.end(record('b'));
  store.close();
  const again = StudyStore.open(dir);
  expect(again.trials()).toEqual([record('a'), record('b')]);
  expect(again.trial('c')).toBeUndefined();
  again.close();
});

test('counts crashes without progress between them', () => {
  const store = StudyStore.open(temporary());
  const counts = ['', '', 'step-1', 'step-1', 'step-1', 'step-2'].map((at) => store.crash('a', at));
  expect(counts).toEqual([1, 2, 1, 2, 3, 1]);
  expect(store.crash('b', '')).toBe(1);
  store.close();
});

test('there is nothing to read before anything ran', () => {
  const dir = temporary();
  expect(StudyStore.read(dir)).toBeUndefined();
  writeFileSync(join(dir, 'study.db'), ''); // whoever made it was killed at once
  expect(StudyStore.read(dir)).toBeUndefined();
});

test('is read while another writes', () => {
  const dir = temporary();
  const store = StudyStore.open(dir);
  store.end(record('a'));
  const reader = StudyStore.read(dir)!;
  store.end(record('b'));
  expect(reader.trials()).toHaveLength(2);
  reader.close();
  store.end(record('c'));
  store.close();
  expect(StudyStore.read(dir)!.trials()).toHaveLength(3);
});

test('what is read together is of one moment', async () => {
  const dir = temporary();
  const writer = StudyStore.open(dir);
  writer.end(record('first'));
  const reader = StudyStore.read(dir)!;
  const counts = reader.together(() => {
    const before = reader.trials().length;
    writer.end(record('second'));
    return [before, reader.trials().length];
  });
  expect(counts).toEqual([1, 1]);
  expect(reader.trials()).toHaveLength(2);
  reader.close();
  writer.close();
});

test('one process writes at a time', async () => {
  const loaded = await study();
  const store = StudyStore.open(loaded.dir);
  await expect(
    runStudy(
      loaded,
      pretend(() => end),
    ),
  ).rejects.toMatchObject({
    code: 'study/running',
    message: expect.stringContaining(loaded.dir) as string,
  });
  store.close();
  expect(
    await runStudy(
      loaded,
      pretend(() => end),
    ),
  ).toMatchObject({ status: 'completed', ran: 2 });
});

test('a file that another program locks is named', () => {
  const dir = temporary();
  StudyStore.open(dir).close();
  const other = new Database(join(dir, 'study.db'));
  other.exec('BEGIN IMMEDIATE');
  expect(() => StudyStore.open(dir)).toThrow(/study\.db.*locked.*Another program/s);
  other.close();
  StudyStore.open(dir).close(); // nothing was left locked
});

test('a file of a later release is left alone', () => {
  const dir = temporary();
  const db = new Database(join(dir, 'study.db'));
  db.exec('PRAGMA user_version = 4');
  db.close();
  const { mtimeMs } = statSync(join(dir, 'study.db'));
  expect(() => StudyStore.open(dir)).toThrow(
    /later release: its format is 4, this release reads 3.*Update/s,
  );
  expect(() => StudyStore.read(dir)).toThrow(/later release/);
  expect(statSync(join(dir, 'study.db')).mtimeMs).toBe(mtimeMs);
});

test('a file stands where the folder must be', () => {
  const file = join(temporary(), 'results');
  writeFileSync(file, '');
  expect(() => StudyStore.open(file)).toThrow(/cannot make .*results/);
});

test.skipIf(process.platform !== 'linux')(
  'a folder that takes no entries is refused, and does not hang',
  () => {
    expect(() => StudyStore.open('/proc/espalier/study')).toThrow(/cannot make \/proc/);
  },
);

// Root may write anywhere.
test.skipIf(process.getuid?.() === 0)('a folder that may not be written to is named', () => {
  const dir = temporary();
  StudyStore.open(dir).close();
  chmodSync(dir, 0o500);
  try {
    expect(() => StudyStore.open(dir)).toThrow(/write access/);
  } finally {
    chmodSync(dir, 0o700);
  }
});

test('what a killed run left in the folders of trials is taken over; what it broke there is not', async () => {
  const loaded = await study({ seeds: 3 });
  const first = pretend(() => end);
  await runStudy(loaded, first);
  const folders = first.jobs.map(({ dir }) => dir);
  const other = await study({ seeds: 3, dir: temporary() });
  folders.forEach((folder, i) => {
    const target = folder.replace(loaded.dir, other.dir);
    mkdirSync(target, { recursive: true });
    const text = JSON.stringify('result' in end && end.result);
    if (i < 2) writeFileSync(join(target, 'result.json'), i === 0 ? text : text.slice(0, 20));
  });
  const second = pretend(() => end);
  expect(await runStudy(other, second)).toMatchObject({ status: 'completed', ran: 3, failed: [] });
  expect(second.jobs.map(({ seed }) => seed)).toEqual([2, 3]);
  const { planner, rows } = await planOf(other);
  expect((await analyse(planner, rows, StudyStore.read(other.dir))).complete).toBe(true);
});
