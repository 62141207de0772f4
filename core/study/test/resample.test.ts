import {
  analyse,
  incomparable,
  listTrials,
  resolvePlan,
  runStudy,
  StudyStore,
} from '@espalier/study';
import type { Study } from '@espalier/study';
import { expect, test } from 'vitest';
import { base, done, planOf, pretend, study } from './studies.js';

// Another name draws other examples.
const resample = 'data.train.options.name';
const factors: Study['factors'] = { noise: { drop: 'noise' } };

test('each seed trains on its own sample, the same in every row, the tuning’s seeds too', async () => {
  const space = { 'model.options.units': { choices: [4, 5] } };
  const loaded = await study({ factors, resample, tune: { trials: 1, seeds: [8], space } });
  const { executor, jobs } = pretend(() => done({ accuracy: 0.5 }));
  await runStudy(loaded, { executor });
  for (const { sets, seed } of jobs) {
    expect(sets.slice(-2)).toEqual([`data.train={"use":"./parts.ts#data"}`, `${resample}=${seed}`]);
  }
  const trials = StudyStore.read(loaded.dir)!.trials();
  const samples = (row: string) =>
    trials.filter((trial) => trial.row === row).map(({ seed, data }) => [seed, data.train]);
  expect(samples('noise')).toEqual(samples('base'));
  expect(new Set(samples('base').map(([, train]) => train)).size).toBe(3);
  const { planner, rows } = await planOf(loaded);
  const findings = await analyse(planner, rows, StudyStore.read(loaded.dir));
  expect(findings).toMatchObject({ complete: true, resample });
  expect(findings.rows[1]!.metrics[0]!.comparison.kind).toBe('paired');
});

test('what the base draws by itself does not matter, nor which seeds the study has', async () => {
  const ids = async (fields: Partial<Study>, options?: object) => {
    const data = { ...(base()['data'] as object), ...(options && { train: options }) };
    const { rows } = await planOf(await study({ resample, ...fields, base: base({ data }) }));
    return listTrials(rows[0]!, [2])[0]!.id;
  };
  const own = (options: object) => ({ use: './parts.ts#data', options });
  const id = await ids({});
  expect(await ids({ seeds: [2, 5] }, own({ name: 'other' }))).toBe(id);
  expect(await ids({}, own({ examples: 30 }))).not.toBe(id);
  expect(await ids({ resample: undefined })).not.toBe(id);
});

test('rows are compared only where each seed has the same sample in both', async () => {
  const other = { set: { 'data.train': { use: './parts.ts#data', options: { examples: 30 } } } };
  const { planner, rows } = await planOf(await study({ factors: { other }, resample }));
  const [first, second] = (await resolvePlan(planner, rows, () => undefined)).rows;
  expect(incomparable(first!, second!)).toEqual([expect.stringMatching(/^other train data: /)]);
  const trials = first!.trials.map((trial) => ({ ...trial, data: first!.trials[0]!.data }));
  expect(incomparable(first!, { ...first!, trials })).toEqual([
    expect.stringMatching(/^other train data for seeds 2: /),
  ]);
  expect(incomparable(first!, first!)).toEqual([]);
});

test.each<[string, Partial<Study>, string, RegExp]>([
  [
    'an option that draws nothing',
    { resample: 'data.train.options.nam' },
    'study/resample',
    /row 'base': seeds 1 and 2 draw the same training data with data\.train\.options\.nam/,
  ],
  [
    'a row that sets it too',
    { resample, factors: { mine: { set: { [resample]: 'mine' } } } },
    'study/reserved',
    /row 'mine' sets 'data\.train\.options\.name'/,
  ],
  [
    'a range for it',
    { resample, tune: { trials: 1, space: { [resample]: { choices: ['a', 'b'] } } } },
    'study/reserved',
    /tune\.space/,
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
