import { analyse, holm, pairedDifference, runStudy, StudyStore, testStudy } from '@espalier/study';
import type { Executor, LoadedStudy, Study, TrialEnd, TrialJob } from '@espalier/study';
import { describe, expect, test } from 'vitest';
import { base, done, planOf, pretend, study } from './studies.js';

const factors: Study['factors'] = {
  noise: { drop: 'noise' },
  narrow: { set: { 'model.options.units': 4 } },
};
const metricsOf = ({ row, seed }: TrialJob) => ({
  accuracy: ({ base: 0.5, noise: 0.6, narrow: 0.3 }[row] ?? 0.4) + 0.01 * ((seed * 7) % 5),
  loss: 1 / seed,
});

async function findingsOf(loaded: LoadedStudy, split?: 'test') {
  const { planner, rows } = await planOf(loaded);
  const store = StudyStore.read(loaded.dir);
  return { planner, findings: await analyse(planner, rows, store, split) };
}

async function ran(
  fields: Partial<Study>,
  end: (job: TrialJob) => TrialEnd = (job) => done(metricsOf(job)),
) {
  const loaded = await study({ seeds: 3, factors, ...fields });
  await runStudy(loaded, pretend(end));
  return (await findingsOf(loaded)).findings;
}

describe('analysis', () => {
  test('compares rows with the base seed by seed, corrected over the rows that are compared', async () => {
    const findings = await ran({ metrics: ['loss'] });
    expect(findings).toMatchObject({ complete: true, tries: 0, split: 'validation', readings: [] });
    const [first, noise, narrow] = findings.rows.map(({ metrics }) => metrics[0]!);
    expect(first!.comparison).toEqual({ kind: 'base' });
    const differences = [noise!, narrow!].map(({ values }) =>
      pairedDifference([...values.values()] as number[], [...first!.values.values()] as number[]),
    );
    const corrected = holm(differences.map(({ p }) => p!));
    [noise!, narrow!].forEach(({ comparison }, i) =>
      expect(comparison).toEqual({
        kind: 'paired',
        difference: differences[i],
        corrected: corrected[i],
        better: 'higher',
      }),
    );
    const [, loss] = findings.rows[1]!.metrics;
    expect(loss).toMatchObject({ comparison: { better: 'lower' } });
  });

  test('means of costs stand against the base’s; what an effect costs more is told where it does', async () => {
    const findings = await ran({}, (job) =>
      done(metricsOf(job), { seconds: job.row === 'noise' ? 3 : 2 }),
    );
    const seconds = (i: number) => findings.rows[i]!.costs.find(({ cost }) => cost === 'seconds');
    expect(seconds(0)).toEqual({ cost: 'seconds', mean: 2, ratio: 1, effect: null });
    expect(seconds(1)).toMatchObject({ mean: 3, ratio: 1.5 });
    expect(seconds(1)!.effect).toBeCloseTo(0.1);
    expect(seconds(2)!.effect).toBeNull();
  });

  test.each<[string, Study['factors'], string]>([
    ['other epochs', { more: { set: { epochs: 3 } } }, 'other epochs: 2 and 3'],
    ['other batches', { more: { set: { batchSize: 20 } } }, 'other batchSize: 10 and 20'],
    ['other accumulation', { more: { set: { accumulate: 2 } } }, 'other accumulate: 1 and 2'],
    [
      'other training data',
      { more: { set: { 'data.train': { use: './parts.ts#data', options: { examples: 30 } } } } },
      'other train data: ',
    ],
    [
      'other validation data',
      { more: { set: { 'data.validation.options.name': 'x' } } },
      'other validation data: ',
    ],
  ])('refuses a row of %s, and corrects over the others alone', async (_what, more, reason) => {
    const findings = await ran({ factors: { ...more, noise: { drop: 'noise' } } }, ({ seed }) =>
      done({ accuracy: 1 / seed }),
    );
    const [, refused, kept] = findings.rows.map(({ metrics }) => metrics[0]!.comparison);
    expect(refused).toMatchObject({ kind: 'refused', reasons: [expect.stringContaining(reason)] });
    const { difference, corrected } = kept as { difference: { p: number }; corrected: number };
    expect(corrected).toBe(difference.p);
  });

  test('refuses a row with a seed that failed, and says which and why', async () => {
    const findings = await ran({}, (job) =>
      job.row === 'noise' && job.seed === 2
        ? { status: 'failed', code: 'study/threw', message: 'x' }
        : done(metricsOf(job)),
    );
    expect(findings.complete).toBe(true);
    expect(findings.rows[1]!.metrics[0]!.comparison).toEqual({
      kind: 'refused',
      reasons: ["'noise' has no value for seed 2 (study/threw)"],
    });
    expect(findings.rows[1]!.metrics[0]!.summary).toMatchObject({ n: 2 });
    expect(findings.rows[2]!.metrics[0]!.comparison.kind).toBe('paired');
  });

  test('refuses everything against a base with a seed that failed', async () => {
    const findings = await ran({}, (job) =>
      job.row === 'base' && job.seed === 1
        ? { status: 'failed', code: 'x', message: 'x' }
        : done(metricsOf(job)),
    );
    const kinds = findings.rows.map(({ metrics }) => metrics[0]!.comparison.kind);
    expect(kinds).toEqual(['base', 'refused', 'refused']);
  });

  test('compares nothing before the study is finished', async () => {
    const loaded = await study({ seeds: 3, factors });
    const stop = new AbortController();
    let ends = 0;
    const { executor } = pretend((job) => {
      ends += 1;
      if (ends === 7) stop.abort();
      return done(metricsOf(job));
    });
    await runStudy(loaded, { executor, signal: stop.signal });
    const { findings } = await findingsOf(loaded);
    expect(findings.complete).toBe(false);
    expect(findings.rows[1]!.metrics[0]).toMatchObject({
      summary: { n: 2 },
      comparison: {
        kind: 'refused',
        reasons: expect.arrayContaining(['the study is not finished']) as string[],
      },
    });
  });

  test('without anything run there are rows, and no values', async () => {
    const { findings } = await findingsOf(await study({ factors }));
    expect(findings.complete).toBe(false);
    expect(findings.rows.map(({ metrics }) => metrics[0]!.summary)).toEqual([null, null, null]);
  });

  test('a metric that one row alone has is compared with nothing', async () => {
    const findings = await ran({ metrics: ['exit1'] }, (job) =>
      done({ ...metricsOf(job), ...(job.row === 'noise' && { exit1: 1 }) }),
    );
    expect(findings.rows[1]!.metrics[1]).toMatchObject({
      summary: { n: 3 },
      comparison: { kind: 'refused' },
    });
  });
});

describe('the test split', () => {
  const tester = (metrics = { accuracy: 0.4 }) => pretend(() => ({ status: 'tested', metrics }));
  const finish = async (fields: Partial<Study> = {}) => {
    const loaded = await study({ factors, ...fields });
    await runStudy(
      loaded,
      pretend((job) => done(metricsOf(job))),
    );
    return loaded;
  };
  async function read(
    loaded: LoadedStudy,
    options: { executor: Executor; again?: boolean; signal?: AbortSignal },
  ) {
    const { planner, findings } = await findingsOf(loaded);
    await testStudy(planner, findings, options);
    return (await findingsOf(loaded, 'test')).findings;
  }

  test('is read once for every trial, and told from then on', async () => {
    const loaded = await finish();
    const first = tester();
    const findings = await read(loaded, first);
    expect(first.jobs.map(({ task }) => task)).toEqual(Array(6).fill('test'));
    expect(findings.rows.map(({ metrics }) => metrics[0]!.summary!.mean)).toEqual([0.4, 0.4, 0.4]);
    expect(findings.readings).toMatchObject([{ trials: 6 }]);
    const second = tester();
    expect((await read(loaded, second)).readings).toHaveLength(1);
    expect(second.jobs).toEqual([]);
  });

  test.each<[string, Partial<Study>]>([
    [
      'a row more',
      { factors: { ...factors, strong: { set: { 'plugins.scaler.options.by': 2 } } } },
    ],
    [
      'as many trials, but others',
      { factors: { ...factors, narrow: { set: { 'model.options.units': 5 } } } },
    ],
    [
      'a row less and another',
      {
        factors: {
          narrow: factors!['narrow']!,
          strong: { set: { 'plugins.scaler.options.by': 2 } },
        },
      },
    ],
    [
      'other test data',
      {
        base: base({
          data: {
            ...(base()['data'] as object),
            test: { use: './parts.ts#data', options: { name: 'x' } },
          },
        }),
      },
    ],
  ])(
    'is not read again after the study has %s, unless told to, and then it is told',
    async (_what, fields) => {
      const { dir } = await finish();
      await read(await study({ factors, dir }), tester());
      const changed = await finish({ ...fields, dir });
      const refused = tester();
      await expect(read(changed, refused)).rejects.toMatchObject({ code: 'study/test-read' });
      expect(refused.jobs).toEqual([]);
      const findings = await read(changed, { ...tester(), again: true });
      expect(findings.readings).toHaveLength(2);
      expect(findings.rows.every(({ metrics }) => metrics[0]!.summary !== null)).toBe(true);
    },
  );

  test('a reading that was interrupted or failed goes on', async () => {
    const loaded = await finish();
    const stop = new AbortController();
    let tests = 0;
    const { executor } = pretend(() => {
      tests += 1;
      if (tests === 2) stop.abort();
      if (tests === 4) return { status: 'crashed', message: 'out of memory' };
      return { status: 'tested', metrics: { accuracy: 0.4 } };
    });
    await read(loaded, { executor, signal: stop.signal });
    expect(tests).toBe(2);
    await expect(read(loaded, { executor })).rejects.toMatchObject({
      code: 'study/test-failed',
      message: expect.stringContaining('out of memory') as string,
    });
    const last = tester();
    expect((await read(loaded, last)).readings).toHaveLength(1);
    expect(last.jobs).toHaveLength(3);
  });

  test('is not read for a study that is not finished, nor without one', async () => {
    const { executor, jobs } = tester();
    await expect(read(await study({ factors }), { executor })).rejects.toMatchObject({
      code: 'study/unfinished',
    });
    const { train, validation } = base()['data'] as Record<string, unknown>;
    const without = await finish({ base: base({ data: { train, validation } }) });
    await expect(read(without, { executor })).rejects.toMatchObject({ code: 'study/no-test' });
    expect(jobs).toEqual([]);
  });
});
