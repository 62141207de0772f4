import { runStudy, testStudy } from '@espalier/study';
import type { Executor, LoadedStudy, Study } from '@espalier/study';
import { describe, expect, test } from 'vitest';
import { base, done, factors, findingsOf, metricsOf, pretend, study } from './studies.js';

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
