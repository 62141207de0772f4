import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { keyedRng } from '@espalier/base';
import {
  analyse,
  analysePlan,
  comparePlans,
  describeDifference,
  openPacked,
  packStudy,
  resolvePlan,
  runStudy,
  studyCsv,
  studyMarkdown,
  StudyStore,
  testStudy,
  unpackStudy,
} from '@espalier/study';
import type {
  Environment,
  LoadedStudy,
  Metrics,
  Study,
  StudyPlan,
  TrialJob,
  TrialRecord,
} from '@espalier/study';
import { describe, expect, test } from 'vitest';
import { base, copyOfParts, done, fixtures, planOf, pretend, study, temporary } from './studies.js';

const factors: Study['factors'] = { noise: { drop: 'noise' } };
const space = { 'optimizer.options.learningRate': { low: 0.1, high: 0.2 } };
const fields: Partial<Study> = {
  factors,
  tune: { trials: 2, seeds: 2, space },
  equalCompute: true,
  contrasts: { main: [{ of: 'noise', minus: 'equal compute' }] },
  metrics: ['train/loss'],
};
const end = ({ row, seed }: TrialJob) =>
  done(
    { accuracy: row === 'noise' ? 1 / (seed + 1) : 1 / 3 },
    { seconds: row === 'noise' ? 4 : 2, trained: { loss: Math.PI / seed, size: NaN } },
  );

async function finished(more: Partial<Study> = {}, folder = fixtures): Promise<LoadedStudy> {
  const loaded = await study({ ...fields, ...more }, folder);
  await runStudy(loaded, pretend(end));
  return loaded;
}

type Finished = Extract<TrialRecord, { result: unknown }>;
const packOf = ({ dir }: LoadedStudy) => packStudy(StudyStore.read(dir)!);

describe('a packed study', () => {
  test('reports what the study reports, from the file alone', async () => {
    const loaded = await finished();
    const { planner, rows } = await planOf(loaded);
    const live = await analyse(planner, rows, StudyStore.read(loaded.dir));
    const packed = openPacked(packOf(loaded), 'a.study.gz');
    const read = analysePlan(packed.plan()!, packed);
    expect(read.complete).toBe(true);
    expect(studyMarkdown(read)).toBe(studyMarkdown(live));
    expect(studyCsv(read)).toBe(studyCsv(live));
    expect(read).toEqual(live);
    expect(read.environments).toMatchObject([{ trials: 14, node: process.versions.node }]);
  });

  test('goes on where it stopped in another folder, and is packed to the same bytes', async () => {
    const loaded = await study(fields);
    const stop = new AbortController();
    let ends = 0;
    const { executor } = pretend((job) => {
      ends += 1;
      if (ends === 10) stop.abort();
      return end(job);
    });
    await runStudy(loaded, { executor, signal: stop.signal });
    const bytes = packOf(loaded);
    expect(packOf(loaded)).toEqual(bytes);
    const dir = join(temporary(), 'results');
    unpackStudy(openPacked(bytes, 'a.study.gz'), dir);
    const other = await study({ ...fields, dir }, copyOfParts());
    expect(packOf(other)).toEqual(bytes);
    expect(await runStudy(other, pretend(end))).toMatchObject({ status: 'completed', ran: 4 });
    const whole = analysePlan(StudyStore.read(dir)!.plan()!, StudyStore.read(dir));
    expect(whole.complete).toBe(true);
    expect(whole.contrasts[0]!.contrasts[0]!.comparison.kind).toBe('paired');
  });

  test('keeps histories to six digits, the last epoch and all results exactly', async () => {
    const metrics = { loss: Math.PI, 'val/accuracy': 1 / 3 };
    const history = [1, 2].map((epoch) => ({ epoch, metrics }));
    const cost = { seconds: 1, cpuSeconds: null, peakMemory: 1, modelBytes: 1, macs: null };
    const loaded = await study({ seeds: 1 });
    await runStudy(
      loaded,
      pretend(() => ({ status: 'done', result: { metrics: { accuracy: 1 / 3 }, history, cost } })),
    );
    const [trial] = openPacked(packOf(loaded), 'a').trials();
    expect(trial).toMatchObject({
      result: {
        metrics: { accuracy: 1 / 3 },
        history: [{ epoch: 1, metrics: { loss: 3.14159, 'val/accuracy': 0.333333 } }, history[1]],
      },
    });
  });

  test('keeps which epochs have a metric, and is packed to the same bytes again', async () => {
    const epochs: Metrics[] = [{ first: 1, both: NaN }, { both: 2 }, { last: 3, both: 4 }];
    const history = epochs.map((metrics, i) => ({ epoch: i + 1, metrics }));
    const cost = { seconds: 1, cpuSeconds: null, peakMemory: 1, modelBytes: 1, macs: null };
    const loaded = await study({ seeds: 1 });
    await runStudy(
      loaded,
      pretend(() => ({ status: 'done', result: { metrics: { accuracy: 1 }, history, cost } })),
    );
    const packed = openPacked(packOf(loaded), 'a');
    expect(packed.trials()).toMatchObject([{ result: { history } }]);
    expect(Object.keys((packed.trials() as Finished[])[0]!.result.history[1]!.metrics)).toEqual([
      'both',
    ]);
    expect(packStudy(packed)).toEqual(packOf(loaded));
  });

  test('is small: numbers without any pattern take less than 80 kB for ten trials', () => {
    const draw = keyedRng('size', 'pack');
    const names = Array.from({ length: 24 }, (_, i) => `val/exit_${i}/accuracy`);
    const metrics = () => Object.fromEntries(names.map((name) => [name, draw()]));
    const history = () =>
      Array.from({ length: 80 }, (_, i) => ({ epoch: i + 1, metrics: metrics() }));
    const cost = { seconds: 1, cpuSeconds: 1, peakMemory: 1, modelBytes: 1, macs: 1 };
    const trials = Array.from({ length: 10 }, (_, i) => ({
      id: `${i}`,
      result: { metrics: metrics(), history: history(), cost },
    })) as unknown as readonly TrialRecord[];
    const none = () => [];
    const records = { trials: () => trials, trial: () => undefined, tests: none, readings: none };
    const plan = () => ({ name: 'x' }) as StudyPlan;
    const bytes = packStudy({ ...records, plan, environments: () => new Map() });
    expect(bytes.length).toBeLessThan(80e3);
  });

  test('overwrites nothing: a folder with a study is refused, and stays as it is', async () => {
    const loaded = await finished({ seeds: 1 });
    const before = StudyStore.read(loaded.dir)!.trials();
    const packed = openPacked(packOf(await finished({ seeds: 3 })), 'a');
    expect(() => unpackStudy(packed, loaded.dir)).toThrow(/holds a study already/);
    expect(StudyStore.read(loaded.dir)!.trials()).toEqual(before);
  });

  test('a run in another place where nothing is left to do leaves no trace', async () => {
    const packed = openPacked(packOf(await finished()), 'a');
    const [[, here]] = [...packed.environments()] as [[string, Environment]];
    const there = new Map([['there', { ...here, machine: 'another' }]]);
    const trials = packed.trials().map((each) => ({ ...each, environment: 'there' }));
    const moved = { ...packed, environments: () => there, trials: () => trials };
    const dir = join(temporary(), 'results');
    unpackStudy(moved, dir);
    const other = await study({ ...fields, dir });
    expect(await runStudy(other, pretend(end))).toMatchObject({ ran: 0 });
    expect(StudyStore.read(dir)!.environments()).toEqual(there);
  });

  test('a study that never ran has nothing to pack', () => {
    const dir = temporary();
    StudyStore.open(dir).close();
    expect(() => packStudy(StudyStore.read(dir)!)).toThrow(/never run/);
  });
});

describe('a file that is no packed study is refused by name', () => {
  const line = (data: object) => `${JSON.stringify(data)}\n`;
  const zipped = (text: string) => gzipSync(text);
  let whole: Uint8Array | undefined;
  const bytes = async () => (whole ??= packOf(await finished({ seeds: 1 })));

  test('every truncation and every flipped byte', async () => {
    const good = await bytes();
    for (let i = 0; i < 40; i++) {
      const at = Math.floor((i / 40) * good.length);
      expect(() => openPacked(good.subarray(0, at), 'my.study.gz')).toThrow(/my\.study\.gz is/);
      const damaged = Uint8Array.from(good);
      damaged[at]! ^= 0x55;
      const readable = at >= 4 && at < 10; // time, flags and system in gzip's head mean nothing
      if (!readable) expect(() => openPacked(damaged, 'my.study.gz')).toThrow(/my\.study\.gz is/);
    }
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['empty', new Uint8Array(), /no packed study/],
    ['text', new TextEncoder().encode('export default {}'), /no packed study/],
    ['other JSON', zipped(line({ name: 'x' })), /no packed study/],
    ['no JSON', zipped('hello\n'), /no packed study/],
    [
      'of a later release',
      zipped(line({ format: 'espalier-study', version: 2, lines: 0 })),
      /later release: its version is 2/,
    ],
    [
      'without lines',
      zipped(line({ format: 'espalier-study', version: 1, lines: 1 })),
      /lines are missing/,
    ],
  ])('%s', (_what, content, message) => {
    expect(() => openPacked(content, 'my.study.gz')).toThrow(message);
  });

  type Line = Record<string, Record<string, unknown>>;
  const none = undefined;
  test.each<[string, number, (line: Line) => unknown]>([
    ['null', 2, () => null],
    ['a plan without rows', 1, ({ plan }) => ({ plan: { ...plan, rows: [] } })],
    ['a plan without metrics', 1, ({ plan }) => ({ plan: { ...plan, metrics: none } })],
    ['a plan of other seeds', 1, ({ plan }) => ({ plan: { ...plan, seeds: [1, 9] } })],
    [
      'a plan with a contrast of no metric',
      1,
      ({ plan }) => ({
        plan: {
          ...plan,
          contrasts: [{ name: '', contrasts: [{ of: 'a', minus: 'b', metric: '' }] }],
        },
      }),
    ],
    ['no environment', 2, () => ({ environment: 'here' })],
    ['no trial', 3, () => ({ trial: null })],
    ['a trial with the name of a folder', 3, ({ trial }) => ({ trial: { ...trial, id: '../x' } })],
    ['a trial without a result', 3, ({ trial }) => ({ trial: { ...trial, result: none } })],
    [
      'a result that is text',
      3,
      ({ trial }) => ({ trial: { ...trial, result: { metrics: { accuracy: '1' } } } }),
    ],
    [
      'a history with columns cut short',
      3,
      ({ trial }) => {
        const { result, ...rest } = trial as { result: object };
        return {
          trial: { ...rest, result: { ...result, history: { epochs: [1], columns: { a: [] } } } },
        };
      },
    ],
  ])('a line with %s', async (_what, at, change) => {
    const lines = gunzipSync(await bytes())
      .toString('utf8')
      .split('\n');
    lines[at] = JSON.stringify(change(JSON.parse(lines[at]!) as Line));
    expect(() => openPacked(zipped(lines.join('\n')), 'my.study.gz')).toThrow(/my\.study\.gz is /);
  });

  test('a line that somebody took out', async () => {
    const lines = gunzipSync(await bytes())
      .toString('utf8')
      .split('\n');
    const cut = zipped(lines.toSpliced(3, 1).join('\n'));
    expect(() => openPacked(cut, 'my.study.gz')).toThrow(/lines are missing/);
  });
});

describe('recorded trials of other code, data or machine', () => {
  const edit = (folder: string) => {
    const file = join(folder, 'parts.ts');
    writeFileSync(file, readFileSync(file, 'utf8').replace('1 + size', '2 + size'));
  };

  test('are told by file before anything runs; a flag trains beside them', async () => {
    const folder = copyOfParts();
    const { dir } = await finished({}, folder);
    edit(folder);
    const again = await study({ ...fields, dir }, folder);
    const refused = pretend(end);
    await expect(runStudy(again, refused)).rejects.toMatchObject({
      code: 'study/changed',
      message: expect.stringMatching(
        /12 finished trials of 'base' and 'noise' ran with other.*code: parts\.ts.*--new-trials/s,
      ) as string,
    });
    expect(refused.jobs).toEqual([]);
    const { planner, rows } = await planOf(again);
    const store = StudyStore.read(dir)!;
    const present = await resolvePlan(planner, rows, (id) => store.trial(id));
    expect(describeDifference(comparePlans(store.plan()!, present, store)!)).toMatch(/parts\.ts/);
    expect(analysePlan(store.plan()!, store).complete).toBe(true);
    expect(await runStudy(again, { ...refused, newTrials: true })).toMatchObject({ ran: 14 });
    expect(await runStudy(again, refused)).toMatchObject({ ran: 0 });
    expect(StudyStore.read(dir)!.trials()).toHaveLength(28);
  });

  test('other data of the same name, another backend and another Node.js are told', async () => {
    const { dir } = await finished({ tune: undefined, equalCompute: false, contrasts: {} });
    const store = StudyStore.read(dir)!;
    const plan = store.plan()!;
    const change = (row: (typeof plan.planned)[number]) => ({
      ...row,
      hash: 'other',
      trials: row.trials.map((trial) => ({
        ...trial,
        id: `other ${trial.id}`,
        data: { ...trial.data, train: 'other' },
      })),
    });
    const present = {
      ...plan,
      planned: plan.planned.map(change),
      backend: { ...plan.backend, version: '5.0.0' },
      versions: { ...plan.versions, node: '99' },
    };
    expect(comparePlans(plan, plan, store)).toBeUndefined();
    const difference = comparePlans(plan, present, store)!;
    expect(difference).toMatchObject({ rows: ['base', 'noise'], trials: 4 });
    expect(difference.parts).toEqual([
      'content of data: train',
      `backend version: was ${plan.backend.version}, is 5.0.0`,
      `Node.js: was ${plan.versions.node}, is 99`,
    ]);
  });

  test('a row that the study changes is another row, and needs no flag', async () => {
    const { dir } = await finished({ seeds: 1 });
    const narrow = { set: { 'model.options.units': 6 } };
    const changed = await study({ seeds: 1, factors: { noise: narrow }, dir });
    expect(await runStudy(changed, pretend(end))).toMatchObject({ status: 'completed' });
  });
});

describe('test data after each trial', () => {
  const sealed = ({ seed }: TrialJob) => {
    const ended = done({ accuracy: 0.5 });
    const metrics = { accuracy: 0.1 * seed };
    return 'result' in ended
      ? { ...ended, result: { ...ended.result, test: { data: fingerprint, metrics } } }
      : ended;
  };
  let fingerprint = '';
  const begin = async () => {
    const loaded = await study({ factors, test: 'after-each-trial' });
    const { openSource } = await import('@espalier/config');
    fingerprint = await (await openSource(loaded.base, 'test'))!.fingerprint();
    return loaded;
  };

  test('stays sealed until it is asked for, once, and needs no checkpoints then', async () => {
    const loaded = await begin();
    const { executor, jobs } = pretend(sealed);
    await runStudy(loaded, { executor });
    expect(jobs.every(({ testToo }) => testToo)).toBe(true);
    expect(JSON.stringify(StudyStore.read(loaded.dir)!.trials())).not.toContain('"test"');
    const find = async (split: 'validation' | 'test') => {
      const { planner, rows } = await planOf(loaded);
      return { planner, found: await analyse(planner, rows, StudyStore.read(loaded.dir), split) };
    };
    const before = await find('test');
    expect(before.found.rows[0]!.metrics[0]!.summary).toBeNull();
    const again = pretend(sealed);
    await testStudy(before.planner, before.found, again);
    await testStudy(before.planner, before.found, again);
    expect(again.jobs).toEqual([]);
    const { found } = await find('test');
    expect(found.readings).toMatchObject([{ trials: 4 }]);
    expect([...found.rows[0]!.metrics[0]!.values.values()]).toEqual([0.1, 0.2]);
    const csv = studyCsv(found);
    expect(csv).toContain('base,1,accuracy,validation,0.5,');
    expect(csv).toContain('base,1,accuracy,test,0.1,');
    const packed = openPacked(packOf(loaded), 'a');
    expect(analysePlan(packed.plan()!, packed, 'test')).toEqual(found);
  });

  test('is not read where the test data are others, and that does not count', async () => {
    const loaded = await begin();
    fingerprint = 'other';
    await runStudy(loaded, pretend(sealed));
    const { planner, rows } = await planOf(loaded);
    const found = await analyse(planner, rows, StudyStore.read(loaded.dir));
    await expect(testStudy(planner, found, pretend(sealed))).rejects.toMatchObject({
      code: 'study/changed',
      message: expect.stringContaining('4 trials computed test metrics on other') as string,
    });
    expect(StudyStore.read(loaded.dir)!.readings()).toEqual([]);
  });

  test('a study without test data is refused before it trains', async () => {
    const { train, validation } = base()['data'] as Record<string, unknown>;
    const without = await study({
      base: base({ data: { train, validation } }),
      test: 'after-each-trial',
    });
    const { executor, jobs } = pretend(sealed);
    await expect(runStudy(without, { executor })).rejects.toMatchObject({ code: 'study/no-test' });
    expect(jobs).toEqual([]);
  });
});
