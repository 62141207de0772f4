import { analyse, runStudy, StudyStore } from '@espalier/study';
import type { Study, TrialJob } from '@espalier/study';
import { describe, expect, test } from 'vitest';
import { base, done, planOf, pretend, study } from './studies.js';

const factors: Study['factors'] = { noise: { drop: 'noise' } };
const path = 'optimizer.options.learningRate';
const tune = { trials: 4, space: { [path]: { low: 0.01, high: 1, scale: 'log' as const } } };

/** The rate that a trial was given, or the base's. */
const rateOf = ({ sets }: TrialJob) =>
  Number(sets.find((set) => set.startsWith(path))?.split('=')[1] ?? 0.1);

test('every row tries the same draws, with a seed that is none of the study’s', async () => {
  const loaded = await study({ factors, seeds: [1, 2, 9], tune });
  const { executor, jobs } = pretend((job) => done({ accuracy: rateOf(job) }));
  await runStudy(loaded, { executor });
  const tries = jobs.slice(0, 8);
  expect(new Set(tries.map(({ seed }) => seed))).toEqual(new Set([10]));
  const rates = (row: string) => tries.filter((job) => job.row === row).map(rateOf);
  expect(rates('noise')).toEqual(rates('base'));
  expect(new Set(rates('base')).size).toBe(4);
  rates('base').forEach((rate) => expect(rate >= 0.01 && rate <= 1).toBe(true));
});

test('the best on validation data runs with the seeds of the study, each row’s own', async () => {
  const loaded = await study({ factors, seeds: 2, primary: 'loss', tune });
  // The base likes the largest rate, the row the smallest.
  const { executor, jobs } = pretend((job) =>
    done({ loss: job.row === 'base' ? -rateOf(job) : rateOf(job) }),
  );
  await runStudy(loaded, { executor });
  const rates = jobs.slice(0, 4).map(rateOf);
  const main = jobs.slice(8);
  expect(main.map(({ row, seed }) => [row, seed])).toEqual([
    ['base', 1],
    ['noise', 1],
    ['base', 2],
    ['noise', 2],
  ]);
  expect(main.map(rateOf)).toEqual([
    Math.max(...rates),
    Math.min(...rates),
    Math.max(...rates),
    Math.min(...rates),
  ]);

  const { planner, rows } = await planOf(loaded);
  const findings = await analyse(planner, rows, StudyStore.read(loaded.dir));
  expect(findings).toMatchObject({ complete: true, tries: 4 });
  expect(findings.rows[1]!.row.diff.join()).toMatch(/learningRate/);
  expect(await runStudy(loaded, { executor })).toMatchObject({ ran: 0 });
});

test('draws do not depend on the other ranges', async () => {
  const ratesOf = async (space: object) => {
    const loaded = await study({
      seeds: 1,
      tune: { trials: 3, space: { ...space, ...tune.space } },
    });
    const { executor, jobs } = pretend(() => done({ accuracy: 1 }));
    await runStudy(loaded, { executor });
    return jobs.slice(0, 3).map(rateOf);
  };
  expect(await ratesOf({ 'model.options.units': { choices: [4, 8, 16] } })).toEqual(
    await ratesOf({}),
  );
});

test('tries that drew the same are one trial', async () => {
  const space = { 'model.options.units': { choices: [4, 8] } };
  const loaded = await study({ seeds: 1, tune: { trials: 10, space } });
  const { executor, jobs } = pretend(() => done({ accuracy: 1 }), 4);
  await runStudy(loaded, { executor });
  expect(jobs.filter(({ seed }) => seed === 2)).toHaveLength(2);
  expect(new Set(jobs.map(({ id }) => id)).size).toBe(jobs.length);
});

test('a try that failed is not chosen; a row without any result is told', async () => {
  const loaded = await study({ seeds: 1, tune });
  let calls = 0;
  const { executor, jobs } = pretend((job) => {
    calls += 1;
    return calls === 4 || job.seed === 1
      ? done({ accuracy: 0 })
      : { status: 'failed', code: 'x', message: 'too fast' };
  });
  await runStudy(loaded, { executor });
  expect(rateOf(jobs[4]!)).toBe(rateOf(jobs[3]!));
  const hopeless = await study({ seeds: 1, tune });
  const none = pretend(() => ({ status: 'failed', code: 'x', message: 'too fast' }));
  await expect(runStudy(hopeless, none)).rejects.toMatchObject({
    code: 'study/tuning',
    message: expect.stringMatching(/row 'base'.*too fast/s) as string,
  });
});

test('what is drawn for a plugin goes to the rows that have it', async () => {
  const space = { 'plugins.noise.options.size': { low: 0, high: 1 } };
  const loaded = await study({ seeds: 1, factors, tune: { trials: 2, space } });
  const { executor, jobs } = pretend(() => done({ accuracy: 1 }));
  await runStudy(loaded, { executor });
  const without = jobs.filter(({ row }) => row === 'noise');
  expect(without.map(({ sets }) => sets)).toEqual([
    ['plugins.noise=false'],
    ['plugins.noise=false'],
  ]);
  expect(jobs.filter(({ row }) => row === 'base')).toHaveLength(3);
});

describe('several seeds of shorter trials', () => {
  const space = { [path]: { choices: [0.2, 0.3] } };
  const learningRate = { schedule: 'cosine', initial: 0.1, steps: 24 };
  const options = { learningRate, momentum: 0.9 };
  const optimizer = { use: 'sgd', options };

  test('the mean over seeds decides, not the best of them', async () => {
    const loaded = await study({ factors, seeds: 1, tune: { trials: 8, seeds: 2, space } });
    // 0.2 is best with one seed, 0.3 in the mean.
    const { executor, jobs } = pretend((job) =>
      done({ accuracy: rateOf(job) === 0.3 ? 0.6 : job.seed === 2 ? 0.9 : 0.1 }, { seconds: 3 }),
    );
    await runStudy(loaded, { executor });
    expect(jobs.slice(0, -2).map(({ seed }) => seed)).toEqual([2, 3, 2, 3, 2, 3, 2, 3]);
    expect(jobs.slice(-2).map(rateOf)).toEqual([0.3, 0.3]);
    const { planner, rows } = await planOf(loaded);
    const { tuning } = await analyse(planner, rows, StudyStore.read(loaded.dir));
    expect(tuning.map(({ row }) => row)).toEqual(['base', 'noise']);
    expect(tuning[0]).toMatchObject({ seeds: [2, 3], trials: 4, seconds: 12, cpuSeconds: 24 });
    expect(tuning[0]!.draws[tuning[0]!.chosen!]).toEqual({ sets: [`${path}=0.3`], mean: 0.6 });
  });

  test('a draw that failed with one seed is not chosen', async () => {
    const loaded = await study({ seeds: 1, tune: { trials: 8, seeds: [7, 9], space } });
    const { executor, jobs } = pretend((job) =>
      rateOf(job) === 0.3 && job.seed === 9
        ? { status: 'failed', code: 'x', message: 'x' }
        : done({ accuracy: rateOf(job) }),
    );
    await runStudy(loaded, { executor });
    expect(rateOf(jobs.at(-1)!)).toBe(0.2);
  });

  test.each<[object, number]>([
    [{ epochs: 2 }, 2],
    [{ share: 0.5 }, 2],
  ])(
    '%j: schedules end with the shorter run; the chosen row is as long as ever',
    async (length, n) => {
      const loaded = await study({
        base: base({ epochs: 4, optimizer }),
        seeds: 1,
        tune: { trials: 1, ...length, space: { 'model.options.units': { choices: [4, 4] } } },
      });
      const { executor, jobs } = pretend(() => done({ accuracy: 1 }));
      await runStudy(loaded, { executor });
      expect(jobs.map(({ sets }) => sets)).toEqual([
        ['model.options.units=4', `epochs=${n}`, 'optimizer.options.learningRate.steps=12'],
        ['model.options.units=4'],
      ]);
      const budgets = StudyStore.read(loaded.dir)!
        .trials()
        .map(({ budget }) => budget.epochs);
      expect(budgets).toEqual([n, 4]);
    },
  );

  test('a stage for which no epoch is left is refused, by row and stage', async () => {
    const stages = [{ epochs: 8 }, { transform: true }, { epochs: 1 }];
    const loaded = await study({
      base: base({ epochs: undefined, stages }),
      tune: { trials: 1, epochs: 2, space },
    });
    await expect(
      runStudy(
        loaded,
        pretend(() => done({ accuracy: 1 })),
      ),
    ).rejects.toMatchObject({
      code: 'study/tuning-epochs',
      message: expect.stringMatching(/row 'base'.*2 epochs.*stages\.2/) as string,
    });
  });

  test('a seed of the study is none of the tuning', async () => {
    await expect(study({ seeds: 3, tune: { ...tune, seeds: [4, 3] } })).rejects.toMatchObject({
      code: 'study/tuning-seed',
      message: expect.stringContaining('3') as string,
    });
  });
});

test.each<[string, Partial<Study>, string, RegExp]>([
  [
    'a range for the seed',
    { tune: { trials: 1, space: { seed: { choices: [1, 2] } } } },
    'study/reserved',
    /tune\.space sets 'seed'/,
  ],
  [
    'a plugin that no row has',
    { tune: { trials: 1, space: { 'plugins.nois.options.size': { low: 0, high: 1 } } } },
    'study/unknown',
    /did you mean 'noise'/i,
  ],
  [
    'a range for what a row changes',
    { tune, factors: { fast: { set: { [path]: 0.5 } } } },
    'study/duplicate',
    /'fast' and 'base'.*tune\.space/s,
  ],
  [
    'a value that a plugin refuses',
    { tune: { trials: 1, space: { 'plugins.noise.options.size': { choices: ['a', 'b'] } } } },
    'options/invalid',
    /noise/,
  ],
])('refuses %s', async (_what, fields, code, message) => {
  const loaded = await study(fields);
  await expect(
    runStudy(
      loaded,
      pretend(() => done({ accuracy: 1 })),
    ),
  ).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message) as string,
  });
});
