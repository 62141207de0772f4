import { toSvg } from '@espalier/report';
import {
  analyse,
  contrastPlots,
  contrastTable,
  holm,
  pairedDifference,
  runStudy,
  studyJson,
  studyMarkdown,
  studyPage,
  StudyStore,
  studyTable,
  testEquivalence,
} from '@espalier/study';
import type { Findings, Study, TrialJob } from '@espalier/study';
import { expect, test } from 'vitest';
import { done, planOf, pretend, study } from './studies.js';

const factors: Study['factors'] = {
  noise: { drop: 'noise' },
  narrow: { set: { 'model.options.units': 4 } },
};
const mean = (row: string) => ({ base: 0.5, noise: 0.6, narrow: 0.604 })[row] ?? 0.58;
const metricsOf = ({ row, seed }: TrialJob) => ({
  accuracy: mean(row) + 0.001 * ((seed * (row.length + 3)) % 5),
  exit1: mean(row) / 2 + 0.01 * ((seed * row.length) % 3),
  loss: 1 / seed,
});

async function ran(fields: Partial<Study>): Promise<Findings> {
  const loaded = await study({ seeds: 5, factors, metrics: ['exit1', 'loss'], ...fields });
  await runStudy(
    loaded,
    pretend((job) => done(metricsOf(job), { seconds: job.row === 'noise' ? 3 : 2 })),
  );
  const { planner, rows } = await planOf(loaded);
  return analyse(planner, rows, StudyStore.read(loaded.dir));
}

const contrasts: Study['contrasts'] = {
  'last exit': [
    { of: 'noise', minus: 'base' },
    { of: 'narrow', minus: 'noise' },
    { of: 'narrow', minus: 'equal compute' },
  ],
  'other metrics': [{ of: 'narrow', minus: 'noise', metric: ['exit1', 'loss'] }],
};

test('any two rows are compared by any metric, p values corrected within each family', async () => {
  const findings = await ran({ contrasts, equalCompute: true, smallestEffect: 0.02 });
  const valuesOf = (row: string, metric: number) => {
    const found = findings.rows.find(({ row: { name } }) => name === row)!;
    return [...found.metrics[metric]!.values.values()] as number[];
  };
  const longer = 'base, as long as noise';
  const expected = [
    [
      ['noise', 'base', 0],
      ['narrow', 'noise', 0],
      ['narrow', longer, 0],
    ],
    [
      ['narrow', 'noise', 1],
      ['narrow', 'noise', 2],
    ],
  ] as const;
  expect(findings.contrasts.map(({ name }) => name)).toEqual(Object.keys(contrasts));
  expected.forEach((family, f) => {
    const differences = family.map(([of, minus, metric]) =>
      pairedDifference(valuesOf(of, metric), valuesOf(minus, metric)),
    );
    const corrected = holm(differences.map(({ p }) => p!));
    family.forEach(([of, minus, metric], i) =>
      expect(findings.contrasts[f]!.contrasts[i]).toEqual({
        of,
        minus,
        metric,
        comparison: {
          kind: 'paired',
          difference: differences[i],
          corrected: corrected[i],
          better: metric === 2 ? 'lower' : 'higher',
        },
        equivalence: metric === 0 ? testEquivalence(differences[i]!, 0.02) : null,
      }),
    );
  });
  const cells = contrastTable(findings, findings.contrasts[0]!).rows;
  expect(cells.map(({ contrast, effect }) => [contrast, effect])).toEqual([
    ['noise − base', 'better by at least 2 points'],
    ['narrow − noise', 'smaller than 2 points'],
    [`narrow − ${longer}`, 'better by at least 2 points'],
  ]);
  const mixed = contrastTable(findings, {
    name: 'mixed',
    contrasts: findings.contrasts.flatMap((family) => family.contrasts),
  });
  expect(mixed.rows.map(({ metric }) => metric).slice(2)).toEqual([
    'accuracy, points',
    'exit1',
    'loss',
  ]);
  // What is not tested has no p value.
  expect(findings.rows[1]!.metrics[0]!.comparison).toMatchObject({ corrected: null });
  expect(studyTable(findings).columns.map(({ key }) => key)).not.toContain('p');
  expect(studyMarkdown(findings)).toContain('**other metrics**');
  expect(studyPage(findings)).toMatch(/>\s*Contrasts\s*</);
  const json = JSON.parse(studyJson(findings)) as {
    rows: { metrics: Record<string, { values: Record<string, number> }> }[];
    contrasts: { contrasts: { metric: string }[] }[];
  };
  expect(json.rows[1]!.metrics['exit1']!.values['2']).toBe(valuesOf('noise', 1)[1]);
  expect(json.contrasts[1]!.contrasts.map(({ metric }) => metric)).toEqual(['exit1', 'loss']);
});

test('without contrasts the rows minus the base are the one family', async () => {
  const findings = await ran({});
  expect(findings.contrasts).toEqual([]);
  expect(findings.rows[1]!.metrics[0]!.comparison).toMatchObject({
    corrected: expect.any(Number) as number,
  });
  expect(studyTable(findings).columns.map(({ key }) => key)).toContain('p');
});

test('a contrast of rows with other data or epochs is refused, with the reason', async () => {
  const findings = await ran({
    factors: { ...factors, more: { set: { epochs: 3 } } },
    contrasts: {
      all: [
        { of: 'more', minus: 'noise' },
        { of: 'noise', minus: 'base' },
      ],
    },
  });
  const [refused, kept] = findings.contrasts[0]!.contrasts;
  expect(refused!.comparison).toEqual({ kind: 'refused', reasons: ['other epochs: 2 and 3'] });
  expect(kept!.comparison).toMatchObject({ kind: 'paired' });
  const cells = contrastTable(findings, findings.contrasts[0]!).rows[0]!;
  expect(cells).toMatchObject({ why: 'other epochs: 2 and 3' });
});

test('a family has a plot of each metric in which something is compared', async () => {
  const [of, minus] = ['noise', 'base'];
  const findings = await ran({
    factors: { ...factors, more: { set: { epochs: 3 } } },
    contrasts: {
      some: [
        { of, minus, metric: ['accuracy', 'exit1'] },
        { of: 'more', minus, metric: 'loss' },
      ],
      none: [{ of: 'more', minus }],
    },
  });
  const titles = findings.contrasts.map((each) =>
    contrastPlots(findings, each).map((plot) => toSvg(plot).match(/<title[^>]*>([^<]*)/)?.[1]),
  );
  expect(titles).toEqual([['some: accuracy', 'some: exit1'], []]);
});

test('nothing is compared before the study is finished, nor with a row of equal compute that is none', async () => {
  const loaded = await study({ factors, contrasts: { a: [{ of: 'noise', minus: 'base' }] } });
  const { planner, rows } = await planOf(loaded);
  const findings = await analyse(planner, rows, undefined);
  expect(findings.contrasts[0]!.contrasts[0]!.comparison).toEqual({
    kind: 'refused',
    reasons: ['the study is not finished'],
  });
  const none = await ran({
    factors: { narrow: factors!['narrow']! },
    equalCompute: true,
    contrasts: { a: [{ of: 'narrow', minus: 'equal compute' }] },
  });
  expect(none.contrasts[0]!.contrasts[0]!.comparison).toMatchObject({
    reasons: [expect.stringContaining('no row takes longer than the base')],
  });
});

test.each<[string, Partial<Study>, RegExp]>([
  [
    'a row',
    { contrasts: { a: [{ of: 'nois', minus: 'base' }] } },
    /family 'a': there is no row 'nois'.*did you mean 'noise'/is,
  ],
  [
    'equal compute without it',
    { contrasts: { a: [{ of: 'noise', minus: 'equal compute' }] } },
    /no row 'equal compute'/,
  ],
  [
    'a metric',
    { contrasts: { a: [{ of: 'noise', minus: 'base', metric: 'exit1' }] } },
    /does not report the metric 'exit1'/,
  ],
  ['a row minus itself', { contrasts: { a: [{ of: 'noise', minus: 'noise' }] } }, /minus itself/],
  [
    'a metric with a smallest effect',
    { smallestEffect: { exit1: 0.1 } },
    /smallestEffect.*'exit1'/,
  ],
])('refuses %s that the study does not have', async (_what, fields, message) => {
  await expect(study({ factors, ...fields })).rejects.toMatchObject({
    code: 'study/contrast',
    message: expect.stringMatching(message) as string,
  });
});
