import { analyse, runStudy, studyCsv, StudyStore } from '@espalier/study';
import type { StudyEvent, TrialEnd, TrialJob } from '@espalier/study';
import { expect, test } from 'vitest';
import { base, done, planOf, pretend, study } from './studies.js';

const factors = { noise: { drop: 'noise' }, narrow: { set: { 'model.options.units': 4 } } };
const good = done({ accuracy: 0.5, loss: 1 });
const named = ({ row, seed }: TrialJob) => `${row} ${seed}`;

test('runs every row with every seed, seed by seed, and nothing again', async () => {
  const loaded = await study({ factors });
  const first = pretend(() => good);
  expect(await runStudy(loaded, first)).toEqual({ status: 'completed', ran: 6, failed: [] });
  expect(first.jobs.map(named)).toEqual([
    'base 1',
    'noise 1',
    'narrow 1',
    'base 2',
    'noise 2',
    'narrow 2',
  ]);
  const second = pretend(() => good);
  expect(await runStudy(loaded, second)).toEqual({ status: 'completed', ran: 0, failed: [] });
  expect(second.jobs).toEqual([]);
});

test('runs what is new alone: a row that changed, a seed more', async () => {
  const loaded = await study({ factors });
  await runStudy(
    loaded,
    pretend(() => good),
  );
  const wider = { ...factors, narrow: { set: { 'model.options.units': 5 } } };
  const changed = pretend(() => good);
  await runStudy(await study({ factors: wider, dir: loaded.dir }), changed);
  expect(changed.jobs.map(named)).toEqual(['narrow 1', 'narrow 2']);
  const more = pretend(() => good);
  await runStudy(await study({ factors: wider, seeds: 3, dir: loaded.dir }), more);
  expect(more.jobs.map(named)).toEqual(['base 3', 'noise 3', 'narrow 3']);
});

test('a trial that fails is a record that says why, and the others go on', async () => {
  const loaded = await study({ factors });
  const why = { code: 'study/threw', message: 'no luck' };
  const { executor } = pretend(({ row }) =>
    row === 'noise' ? { status: 'failed', ...why } : good,
  );
  const { status, ran, failed } = await runStudy(loaded, { executor });
  expect({ status, ran }).toEqual({ status: 'completed', ran: 6 });
  expect(failed).toMatchObject([
    { row: 'noise', seed: 1, failure: why, attempts: 1 },
    { row: 'noise', seed: 2, failure: why, attempts: 1 },
  ]);
  const again = pretend(() => good);
  expect(await runStudy(loaded, again)).toMatchObject({ ran: 0, failed });
  expect(await runStudy(loaded, { ...again, retryFailed: true })).toEqual({
    status: 'completed',
    ran: 2,
    failed: [],
  });
  expect(again.jobs.map(named)).toEqual(['noise 1', 'noise 2']);
});

test('a trial that crashes each time is given up, told, and run again when asked to', async () => {
  const loaded = await study({ seeds: 1, factors });
  const events: StudyEvent[] = [];
  const crash = pretend(({ row }) =>
    row === 'noise' ? { status: 'crashed', message: 'killed by SIGKILL' } : good,
  );
  const { failed } = await runStudy(loaded, { ...crash, onEvent: (event) => events.push(event) });
  expect(crash.jobs.filter(({ row }) => row === 'noise')).toHaveLength(3);
  expect(events.filter(({ type }) => type === 'retry')).toHaveLength(2);
  expect(failed).toMatchObject([
    {
      row: 'noise',
      attempts: 3,
      failure: {
        code: 'study/crashed',
        message: expect.stringMatching(/3 times.*SIGKILL/) as string,
      },
    },
  ]);
  await runStudy(loaded, { ...crash, retryFailed: true, crashes: 1 });
  expect(crash.jobs.filter(({ row }) => row === 'noise')).toHaveLength(4);
});

test('crashes are counted over runs that were killed', async () => {
  const loaded = await study({ seeds: 1 });
  const stop = new AbortController();
  const crash = pretend((): TrialEnd => ({ status: 'crashed', message: 'x' }));
  const onEvent = ({ type }: StudyEvent) => {
    if (type === 'retry') throw new Error('the run ends here');
  };
  await expect(runStudy(loaded, { ...crash, signal: stop.signal, onEvent })).rejects.toThrow(
    'ends here',
  );
  const { failed } = await runStudy(loaded, crash);
  expect(crash.jobs).toHaveLength(3);
  expect(failed[0]).toMatchObject({
    attempts: 2,
    failure: { message: expect.stringMatching(/crashed 3 times/) as string },
  });
});

test('a metric that is not finite is a failure of its trial', async () => {
  const loaded = await study({ seeds: 1, metrics: ['loss'] });
  const { failed } = await runStudy(
    loaded,
    pretend(() => done({ accuracy: -Infinity, loss: 1 })),
  );
  const failure = {
    code: 'study/not-finite-metric',
    message: expect.stringContaining('-Infinity'),
  };
  expect(failed).toMatchObject([{ failure }]);
  const other = await study({ seeds: 1, metrics: ['loss'] });
  expect(
    (
      await runStudy(
        other,
        pretend(() => done({ accuracy: 1, loss: NaN })),
      )
    ).failed,
  ).toEqual([]);
  const [kept] = StudyStore.read(other.dir)!.trials();
  expect(kept).toMatchObject({ result: { metrics: { accuracy: 1, loss: NaN } } });
});

test('a primary metric that a trial does not report stops the study, each time, with its names', async () => {
  const loaded = await study({ primary: 'accuraci' });
  const { executor, jobs } = pretend(() => good);
  const refused = {
    code: 'study/metric',
    message: expect.stringMatching(
      /'accuraci': accuracy, loss.*did you mean 'accuracy'/is,
    ) as string,
  };
  await expect(runStudy(loaded, { executor })).rejects.toMatchObject(refused);
  await expect(runStudy(loaded, { executor })).rejects.toMatchObject(refused);
  expect(jobs).toHaveLength(1);
  // The name alone was wrong: what ran counts.
  expect(await runStudy(await study({ dir: loaded.dir }), { executor })).toMatchObject({ ran: 1 });
});

test('another metric may be some rows’ only, but not none’s', async () => {
  const own = ({ row }: TrialJob) => done({ accuracy: 1, ...(row === 'noise' && { exit1: 1 }) });
  const fine = await study({ factors, metrics: ['exit1'] });
  expect(await runStudy(fine, pretend(own))).toMatchObject({ ran: 6 });
  const wrong = await study({ factors, metrics: ['exit2'] });
  const { executor, jobs } = pretend(own);
  await expect(runStudy(wrong, { executor })).rejects.toThrow(/'exit2'.*'exit1'/s);
  expect(jobs).toHaveLength(3);
});

test('a metric of training is that of the last epoch; a row without it has none', async () => {
  const own = ({ row, seed }: TrialJob) =>
    done({ accuracy: seed }, row === 'noise' ? { trained: { 'bilevel/change': seed } } : {});
  const loaded = await study({ factors, metrics: ['train/bilevel/change'] });
  await runStudy(loaded, pretend(own));
  const { planner, rows } = await planOf(loaded);
  for (const split of ['validation', 'test'] as const) {
    const findings = await analyse(planner, rows, StudyStore.read(loaded.dir), split);
    const values = findings.rows.map(({ metrics }) => [...metrics[1]!.values.values()]);
    expect(values).toEqual([
      [null, null],
      [1, 2],
      [null, null],
    ]);
    const lines = studyCsv(findings).split('\r\n');
    expect(
      lines.filter((line) => line.startsWith('noise,1,train/bilevel/change,training,1,')),
    ).toHaveLength(1);
  }
  const wrong = await study({ factors, metrics: ['train/bilevel/chance'] });
  await expect(runStudy(wrong, pretend(own))).rejects.toThrow(
    /'train\/bilevel\/chance'.*did you mean 'train\/bilevel\/change'/is,
  );
});

test('an error of the executor stops the study once the others have ended', async () => {
  const loaded = await study({ factors });
  let ended = 0;
  const executor = {
    slots: 2,
    run: async ({ row }: TrialJob, { signal }: { signal: AbortSignal }): Promise<TrialEnd> => {
      if (row === 'noise') throw new Error('no machine left');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      ended += 1;
      return { status: 'stopped' };
    },
  };
  await expect(runStudy(loaded, { executor })).rejects.toThrow('no machine left');
  expect(ended).toBe(1);
  expect(StudyStore.read(loaded.dir)!.trials()).toEqual([]);
});

test('stopped before it begins, it runs nothing', async () => {
  const loaded = await study();
  const { executor, jobs } = pretend(() => good);
  const stopped = await runStudy(loaded, { executor, signal: AbortSignal.abort() });
  expect(stopped).toEqual({ status: 'stopped', ran: 0, failed: [] });
  expect(jobs).toEqual([]);
});

test('a trial that ends as it is stopped counts', async () => {
  const loaded = await study();
  const stop = new AbortController();
  const { executor, jobs } = pretend(() => {
    stop.abort();
    return good;
  });
  expect(await runStudy(loaded, { executor, signal: stop.signal })).toMatchObject({
    status: 'stopped',
    ran: 1,
  });
  expect(await runStudy(loaded, { executor })).toMatchObject({ status: 'completed', ran: 1 });
  expect(jobs).toHaveLength(2);
});

test('limits of time and memory are failures that say so', async () => {
  const loaded = await study({ seeds: 1 });
  const over: TrialEnd = { status: 'over', code: 'study/time-limit', message: 'it took more' };
  expect(
    (
      await runStudy(
        loaded,
        pretend(() => over),
      )
    ).failed,
  ).toMatchObject([{ failure: { code: 'study/time-limit', message: 'it took more' } }]);
});

test('equal compute: the base once more, for the seconds of the costliest row', async () => {
  const loaded = await study({ factors, equalCompute: true });
  const stages: unknown[] = [];
  const { executor, jobs } = pretend(({ row }) =>
    done({ accuracy: 0.5 }, { seconds: row === 'noise' ? 5 : 2 }),
  );
  await runStudy(loaded, {
    executor,
    onEvent: (event) =>
      event.type === 'stage' && stages.push([event.stage, event.total, event.done]),
  });
  expect(stages).toEqual([
    ['rows', 6, 0],
    ['equal compute', 2, 0],
  ]);
  const longer = jobs.slice(6);
  expect(longer.map(named)).toEqual(['base, as long as noise 1', 'base, as long as noise 2']);
  expect(longer[0]!.sets).toEqual(['epochs=5']); // 2 epochs · 5 s / 2 s
  const { planner, rows } = await planOf(loaded);
  const findings = await analyse(planner, rows, StudyStore.read(loaded.dir));
  expect(findings.rows.map(({ row }) => row.kind)).toEqual(['base', 'row', 'row', 'equal-compute']);
  expect(findings.rows[3]!.metrics[0]!.comparison.kind).toBe('paired');
  expect(await runStudy(loaded, { executor })).toMatchObject({ ran: 0 });
});

test('equal compute: schedules end with the longer run, not long before', async () => {
  const learningRate = {
    schedule: 'warmup',
    steps: 2,
    then: { schedule: 'cosine', initial: 0.1, steps: 6 },
  };
  const stepwise = { schedule: 'step', initial: 0.1, gamma: 0.5, milestones: [2, 4] };
  const optimizer = { use: 'sgd', options: { learningRate, momentum: 0.9 } };
  const setsOf = async (options: object) => {
    const loaded = await study({
      base: base({ optimizer: { ...optimizer, options: { ...optimizer.options, ...options } } }),
      factors,
      equalCompute: true,
      seeds: 1,
    });
    const { executor, jobs } = pretend(({ row }) =>
      done({ accuracy: 0.5 }, { seconds: row === 'noise' ? 5 : 2 }),
    );
    await runStudy(loaded, { executor });
    return jobs.at(-1)!.sets;
  };
  expect(await setsOf({})).toEqual([
    'epochs=5',
    'optimizer.options.learningRate.steps=5',
    'optimizer.options.learningRate.then.steps=15',
  ]);
  expect(await setsOf({ learningRate: stepwise })).toEqual([
    'epochs=5',
    'optimizer.options.learningRate.milestones=[5,10]',
  ]);
});

test('equal compute: the epochs of stages grow in proportion', async () => {
  const stages = [{ epochs: 1 }, { transform: [] }, { epochs: 2 }];
  const loaded = await study({
    base: base({ epochs: undefined, stages }),
    factors,
    equalCompute: true,
    seeds: 1,
  });
  const { executor, jobs } = pretend(({ row }) =>
    done({ accuracy: 0.5 }, { seconds: row === 'noise' ? 5 : 2 }),
  );
  await runStudy(loaded, { executor });
  expect(jobs.at(-1)!.sets).toEqual(['stages.0.epochs=3', 'stages.2.epochs=5']);
  const { planner, rows } = await planOf(loaded);
  const findings = await analyse(planner, rows, StudyStore.read(loaded.dir));
  expect(findings.rows.map(({ row }) => row.budget.epochs)).toEqual([3, 3, 3, 8]);
});

test('equal compute by the time of the processor', async () => {
  const loaded = await study({ factors, equalCompute: 'cpuSeconds' });
  const { executor, jobs } = pretend(({ row }) =>
    done(
      { accuracy: 0.5 },
      { seconds: row === 'narrow' ? 9 : 2, cpuSeconds: row === 'noise' ? 6 : 2 },
    ),
  );
  await runStudy(loaded, { executor });
  expect(jobs[6]).toMatchObject({ row: 'base, as long as noise', sets: ['epochs=6'] });
});

test('equal compute: no row more where the base is the costliest', async () => {
  const loaded = await study({ factors, equalCompute: true });
  const { executor, jobs } = pretend(({ row }) =>
    done({ accuracy: 0.5 }, { seconds: row === 'base' ? 5 : 2 }),
  );
  expect(await runStudy(loaded, { executor })).toMatchObject({ status: 'completed', ran: 6 });
  expect(jobs).toHaveLength(6);
});

test('a base that is wrong is refused before there is a store', async () => {
  const loaded = await study({ base: base({ optimizer: 'sgdd' }) });
  await expect(
    runStudy(
      loaded,
      pretend(() => good),
    ),
  ).rejects.toThrow(/'sgd'/);
  expect(StudyStore.read(loaded.dir)).toBeUndefined();
});
