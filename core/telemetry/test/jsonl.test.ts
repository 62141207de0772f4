import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jsonlSink, readJsonl } from '@espalier/telemetry/node';
import { afterEach, beforeEach, expect, test } from 'vitest';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'espalier-'));
  path = join(dir, 'runs', 'a.jsonl');
});
afterEach(() => rmSync(dir, { recursive: true }));

test('writes an event a line, at once, with its time', async () => {
  const sink = jsonlSink(path);
  sink.write('step', { step: 1, terms: { ce: 0.5 } });
  const { events } = await readJsonl(path); // before it is closed
  expect(events).toEqual([
    { time: expect.any(String), event: 'step', step: 1, terms: { ce: 0.5 } },
  ]);
  expect(new Date(events[0]!.time).toISOString()).toBe(events[0]!.time);
  await sink.close();
  await sink.close();
});

test('gives back NaN and infinities, and refuses what JSON would lose', async () => {
  const sink = jsonlSink(path);
  sink.write('step', { a: NaN, b: [Infinity, { c: -Infinity }] });
  await sink.close();
  const { events } = await readJsonl(path);
  expect(events[0]).toMatchObject({ a: NaN, b: [Infinity, { c: -Infinity }] });
  const other = jsonlSink(path);
  expect(() => other.write('step', { seen: new Set() })).toThrow("'step.seen'");
  other.write('step', { seen: [] });
  await other.close();
  expect((await readJsonl(path)).events).toHaveLength(2);
});

test('lets no event rename itself', async () => {
  const sink = jsonlSink(path);
  sink.write('step', { event: 'other', time: 0 });
  await sink.close();
  expect((await readJsonl(path)).events[0]).toMatchObject({ event: 'step' });
});

test('appends after a line that a kill left broken, and reading names that line', async () => {
  const first = jsonlSink(path);
  first.write('step', { step: 1 });
  await first.close();
  appendFileSync(path, '{"time":"2026-01-01T00:00:00.000Z","event":"st');
  expect(await readJsonl(path)).toMatchObject({ events: [{ step: 1 }], skipped: [{ line: 2 }] });

  const second = jsonlSink(path);
  second.write('step', { step: 2 });
  await second.close();
  expect(await readJsonl(path)).toMatchObject({
    events: [{ step: 1 }, { step: 2 }],
    skipped: [{ line: 2, text: '{"time":"2026-01-01T00:00:00.000Z","event":"st' }],
  });
});

test('appends without an empty line where the last one is whole', async () => {
  for (const step of [1, 2]) {
    const sink = jsonlSink(path);
    sink.write('step', { step });
    await sink.close();
  }
  expect(readFileSync(path, 'utf8')).toMatch(/^\{.*\}\n\{.*\}\n$/);
});

test('passes over JSON that is no event', async () => {
  writeFileSync(join(dir, 'b.jsonl'), '1\nnull\n{}\n{"event":"step"}\n');
  const { events, skipped } = await readJsonl(join(dir, 'b.jsonl'));
  expect(events).toEqual([{ event: 'step' }]);
  expect(skipped.map(({ line }) => line)).toEqual([1, 2, 3]);
});

test('data that cannot be written fail alone', async () => {
  const sink = jsonlSink(path);
  const ring: { self?: unknown } = {};
  ring.self = ring;
  expect(() => sink.write('bad', ring)).toThrow();
  sink.write('good', {});
  await sink.close();
  expect((await readJsonl(path)).events).toMatchObject([{ event: 'good' }]);
});

test('a full disk is reported once, and training goes on', async () => {
  const sink = jsonlSink('/dev/full');
  expect(() => sink.write('step', {})).toThrow(/\/dev\/full: ENOSPC.*free some space/);
  sink.write('step', {});
  await sink.close();
});

test('an impossible place is refused at once, with what to do', async () => {
  writeFileSync(join(dir, 'file'), '');
  expect(() => jsonlSink(join(dir, 'file', 'a.jsonl'))).toThrow(
    /A file stands where a folder must/,
  );
  await expect(readJsonl(join(dir, 'none.jsonl'))).rejects.toThrow(/ENOENT.*no such file/);
});

test('nothing is written after closing', async () => {
  const sink = jsonlSink(path);
  await sink.close();
  sink.write('late', {});
  expect(await readJsonl(path)).toEqual({ events: [], skipped: [] });
});
