import { holm, pairedDifference, runStudy } from '@espalier/study';
import type { Study, TrialEnd, TrialJob } from '@espalier/study';
import { describe, expect, test } from 'vitest';
import { done, factors, findingsOf, metricsOf, pretend, study } from './studies.js';

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
