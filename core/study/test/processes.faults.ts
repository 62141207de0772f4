import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { createSession, crossEntropy, sgd } from '@espalier/core';
import type { SessionConfig } from '@espalier/core';
import { readJsonl } from '@espalier/core/node';
import {
  analyse,
  localExecutor,
  openPacked,
  runStudy,
  studyMarkdown,
  studyTable,
  StudyStore,
  testStudy,
} from '@espalier/study';
import type { LoadedStudy, StudyEvent, TrialRecord } from '@espalier/study';
import { expect, test, vi } from 'vitest';
import * as parts from './fixtures/parts.js';
import { base, fixtures, planOf, study, temporary } from './studies.js';

// Each trial here is a process of its own.

type Finished = Extract<TrialRecord, { result: unknown }>;
const finished = (loaded: LoadedStudy) => StudyStore.read(loaded.dir)!.trials() as Finished[];

/** What a trial of the fixtures is, made by hand in this process. */
const sessionOf = (fields: Pick<SessionConfig, 'seed' | 'overrides'>) =>
  createSession({
    backend: { prefer: ['cpu'] },
    model: () => parts.model({ units: 8 }),
    preset: parts.both,
    load: () => Promise.resolve({ ...parts }),
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1 }),
    train: parts.data({ batchSize: 10 }),
    validation: parts.data({ name: 'validation', batchSize: 10 }),
    ...fields,
  });

test('a study gives what sessions in process give, bit for bit, and says what it cost', async () => {
  const loaded = await study({ factors: { noise: { drop: 'noise' } } });
  expect(await runStudy(loaded)).toEqual({ status: 'completed', ran: 4, failed: [] });
  const trials = finished(loaded);
  expect(trials).toHaveLength(4);
  for (const { row, seed, result } of trials) {
    const session = await sessionOf({ overrides: row === 'noise' ? { noise: false } : {}, seed });
    const { history } = await session.fit({ epochs: 2 });
    await session.dispose();
    expect(result.history.map(({ metrics }) => metrics)).toEqual(
      history.map(({ metrics }) => metrics),
    );
    expect(result.metrics['accuracy']).toBe(history[1]!.metrics['val/accuracy']);
    expect(result.cost).toMatchObject({ modelBytes: 4 * (5 * 8 + 9 * 3), macs: 4 * 8 + 8 * 3 });
    expect(result.cost.seconds).toBeGreaterThan(0);
    expect(result.cost.peakMemory).toBeGreaterThan(10e6);
  }
  const { events } = await readJsonl(join(loaded.dir, 'trials', trials[0]!.id, 'events.jsonl'));
  expect(events.filter(({ event }) => event === 'epoch')).toHaveLength(2);
});

test('messages of other code in the process of a trial are nothing; a forged result is a failure', async () => {
  const forged = { set: { model: './parts.ts#forger' } };
  const loaded = await study({
    seeds: 1,
    base: base({ model: './parts.ts#chatty' }),
    factors: { forged },
  });
  const { failed } = await runStudy(loaded);
  const [trial] = finished(loaded).filter(({ row }) => row === 'base');
  expect(trial!.result.metrics['accuracy']).toBeLessThanOrEqual(1);
  expect(failed).toMatchObject([
    {
      row: 'forged',
      failure: {
        code: 'study/no-result',
        message: expect.stringMatching(/end\.result\.metrics\.accuracy/) as string,
      },
    },
  ]);
});

test('what a 2-bit quantizer costs is not 0: rows run their stages, and say which did not', async () => {
  const quantizer = {
    use: '@espalier/plugin-quantizer#quantizer',
    options: { bits: 2, minSize: 0 },
  };
  const stages = [{ epochs: 1 }, { transform: ['quantizer'] }];
  const loaded = await study({
    primary: 'loss',
    seeds: 1,
    base: base({ epochs: undefined, stages, plugins: { quantizer } }),
    factors: { plain: { drop: 'quantizer' }, idle: { set: { stages: [{ epochs: 1 }] } } },
  });
  await runStudy(loaded);
  const { planner, rows } = await planOf(loaded);
  const findings = await analyse(planner, rows, StudyStore.read(loaded.dir));
  const [quantized, plain, idle] = findings.rows;
  const lossOf = ({ metrics }: (typeof findings.rows)[number]) => [...metrics[0]!.values.values()];
  const difference = plain!.metrics[0]!.comparison;
  expect(difference).toMatchObject({ kind: 'paired' });
  lossOf(plain!).forEach((loss, i) => expect(loss).not.toBe(lossOf(quantized!)[i]));
  expect(lossOf(idle!)).toEqual(lossOf(plain!));
  const bytes = findings.rows.map(({ costs }) => costs.find(({ cost }) => cost === 'modelBytes')!);
  expect(bytes[0]!.mean).toBeLessThan(bytes[1]!.mean!);
  expect(bytes[1]!.mean).toBe(4 * (5 * 8 + 9 * 3));
  const text = studyMarkdown(findings);
  expect(text).toMatch(/'idle': no stage ran the transform of 'quantizer'/);
  expect(text).not.toMatch(/'(plain|base)': no stage ran/);
  const remarks = studyTable(findings).rows.map((row) => row['remarks']);
  expect(remarks).toEqual(['', '', expect.stringMatching(/no transform of quantizer$/)]);

  await testStudy(planner, findings);
  const tested = new Map(
    StudyStore.read(loaded.dir)!
      .tests()
      .map((each) => [each.id, each]),
  );
  const testLoss = ({ trials }: (typeof findings.rows)[number]) =>
    [...trials.values()].map((trial) => tested.get(trial!.id)!.metrics['loss']);
  testLoss(plain!).forEach((loss, i) => expect(loss).not.toBe(testLoss(quantized!)[i]));
});

test('test data after each trial are what report --test would compute', async () => {
  const sealed = await study({ seeds: 1, test: 'after-each-trial' });
  await runStudy(sealed);
  const later = await study({ seeds: 1 });
  await runStudy(later);
  for (const loaded of [sealed, later]) {
    const { planner, rows } = await planOf(loaded);
    const findings = await analyse(planner, rows, StudyStore.read(loaded.dir));
    if (loaded === sealed) rmSync(join(loaded.dir, 'trials'), { recursive: true });
    await testStudy(planner, findings);
  }
  const [early, late] = [sealed, later].map(({ dir }) => StudyStore.read(dir)!.tests());
  expect(early).toEqual(late);
  expect(early).toHaveLength(1);
  const { cost } = finished(sealed)[0]!.result;
  expect(cost.cpuSeconds).toBeGreaterThan(0);
});

test('each trial has a folder of its own for what plugins write', async () => {
  const diary = { use: './parts.ts#diary', options: { title: './base.json' } };
  const loaded = await study({ base: base({ epochs: 1, plugins: { diary } }) });
  await runStudy(loaded);
  const texts = finished(loaded).map(({ id }) =>
    readFileSync(join(loaded.dir, 'trials', id, 'diary.txt'), 'utf8'),
  );
  expect(texts).toEqual(Array(2).fill('completed with cross-entropy\n'));
});

test('a plugin that throws and one that kills its process are told; the others go on', async () => {
  const adding = (use: string) => ({ set: { [`plugins.${use}.use`]: `./parts.ts#${use}` } });
  const loaded = await study({
    seeds: 1,
    factors: { failing: adding('failing'), deadly: adding('deadly') },
  });
  const { status, ran, failed } = await runStudy(loaded);
  expect({ status, ran }).toEqual({ status: 'completed', ran: 3 });
  const why = (row: string) => failed.find((record) => record.row === row);
  expect(why('failing')).toMatchObject({
    attempts: 1,
    failure: { message: expect.stringMatching(/plugin failing.*no second epoch today/s) as string },
  });
  expect(why('deadly')).toMatchObject({
    attempts: 3,
    failure: {
      code: 'study/crashed',
      message: expect.stringMatching(/3 times.*'deadly', seed 1.*SIGKILL/s) as string,
    },
  });
});

test.each([
  ['time', { seconds: 0.5 }, /more than limits\.seconds: 0\.5/],
  ['memory', { megabytes: 20 }, /took \d+ MB, limits\.megabytes is 20/],
])('a trial over its limit of %s is killed, and told', async (what, limits, message) => {
  const plugins = { endless: { use: './parts.ts#endless' } };
  const loaded = await study({ seeds: 1, base: base({ plugins }), limits });
  const { failed } = await runStudy(loaded);
  expect(failed).toMatchObject([{ attempts: 1, failure: { code: `study/${what}-limit` } }]);
  expect(failed[0]).toMatchObject({
    failure: { message: expect.stringMatching(message) as string },
  });
});

test('a study that is stopped saves, goes on to the same bits, and is tested at its last epoch', async () => {
  const plugins = { patient: { use: './parts.ts#patient' } };
  const loaded = await study({ seeds: 1, base: base({ plugins, epochs: 3 }) });
  const stop = new AbortController();
  const onEvent = ({ type }: StudyEvent) => type === 'progress' && stop.abort();
  const executor = localExecutor({ concurrency: 1 });
  vi.stubEnv('PATIENT', 'yes');
  const first = await runStudy(loaded, { executor, signal: stop.signal, onEvent });
  vi.unstubAllEnvs();
  expect(first).toEqual({ status: 'stopped', ran: 0, failed: [] });

  const epochs: number[] = [];
  const second = await runStudy(loaded, {
    executor,
    onEvent: (event) => event.type === 'progress' && epochs.push(event.progress.epoch),
  });
  expect(second).toEqual({ status: 'completed', ran: 1, failed: [] });
  expect(epochs).toEqual([1, 2]);

  const session = await sessionOf({ seed: 1 });
  const { history } = await session.fit({ epochs: 3 });
  const whole = history.map(({ metrics }) => metrics);
  expect(finished(loaded)[0]!.result.history.map(({ metrics }) => metrics)).toEqual(whole);

  const { planner, rows } = await planOf(loaded);
  const findings = await analyse(planner, rows, StudyStore.read(loaded.dir));
  await testStudy(planner, findings, { executor });
  const expected = await session.evaluate(parts.data({ name: 'test', batchSize: 30 }));
  await session.dispose();
  const [tested] = StudyStore.read(loaded.dir)!.tests();
  expect(tested!.metrics).toEqual(expected);
});

test('without its checkpoint a trial cannot be tested: an untrained model is no answer', async () => {
  const loaded = await study({ seeds: 1, base: base({ epochs: 1 }) });
  await runStudy(loaded);
  const [{ id }] = finished(loaded) as [Finished];
  rmSync(join(loaded.dir, 'trials', id, 'checkpoints'), { recursive: true });
  const { planner, rows } = await planOf(loaded);
  const findings = await analyse(planner, rows, StudyStore.read(loaded.dir));
  await expect(testStudy(planner, findings)).rejects.toMatchObject({
    code: 'study/test-failed',
    message: expect.stringMatching(/row 'base', seed 1.*no checkpoint/s) as string,
  });
});

test.skipIf(process.platform === 'win32')('a full disk loses no result', async () => {
  const definition = { seeds: 3, factors: { noise: { drop: 'noise' } }, base: './base.json' };
  const [loaded, undisturbed] = [await study(definition), await study(definition)];
  const file = join(temporary(), 'study.json');
  const fields = { ...definition, base: join(fixtures, 'base.json'), dir: loaded.dir };
  writeFileSync(file, JSON.stringify({ ...fields, primary: 'accuracy' }));
  const bin = fileURLToPath(new URL('../../cli/bin/espalier.js', import.meta.url));
  const args = [bin, 'study', 'run', file, '--quiet', '--concurrency', '1'];
  const limited = spawnSync(
    'bash',
    ['-c', 'ulimit -f 160; exec "$@"', '', process.execPath, ...args],
    { encoding: 'utf8' },
  );
  expect(limited).toMatchObject({ status: 1, stdout: '' });
  expect(limited.stderr).toMatch(/cannot use .*study\.db.* trials\/ too.*study\/store/s);
  const kept = readdirSync(join(loaded.dir, 'trials')).length;
  expect(kept).toBeGreaterThan(1);

  const { ran } = await runStudy(loaded);
  expect(ran).toBeLessThan(6);
  await runStudy(undisturbed);
  const metricsOf = (each: LoadedStudy) =>
    Object.fromEntries(finished(each).map(({ id, result }) => [id, result.metrics]));
  expect(Object.keys(metricsOf(loaded))).toHaveLength(6);
  expect(metricsOf(loaded)).toEqual(metricsOf(undisturbed));
});

test('a packed file that unpacks to more than a text can hold is refused', () => {
  const part = gzipSync(new Uint8Array(64 * 2 ** 20), { level: 1 });
  const bomb = Buffer.concat(Array.from({ length: 9 }, () => part)); // gzip's parts may follow each other
  expect(() => openPacked(bomb, 'my.study.gz')).toThrow(/my\.study\.gz unpacks to more/);
});
