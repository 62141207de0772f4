import { studyCsv, studyMarkdown, studyPage, studyTable } from '@espalier/study';
import type { Findings } from '@espalier/study';
import { describe, expect, test } from 'vitest';
import { ablation, madeFindings } from './made-findings.js';

const findings = madeFindings(ablation);
const page = studyPage(findings, { generated: 'made for a test' });

/** What a page shows, without tags and styles. */
const shown = (html: string): string =>
  html
    .replace(/<style>[^]*?<\/style>/g, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/&#39;/g, "'")
    .replace(/\s+/g, ' ');

const headings = (html: string): string[] =>
  [...html.matchAll(/<h2[^>]*>([^<]*)/g)].map(([, heading]) => heading!);

const changed = (i: number, change: object): Findings =>
  madeFindings({
    ...ablation,
    rows: ablation.rows.map((row, at) => (at === i ? { ...row, ...change } : row)),
  });

describe('the summary table', () => {
  test('accuracies are in per cent, differences in points, with their sign and interval', () => {
    const [, smoothed] = findings.rows;
    const { summary, comparison } = smoothed!.metrics[0]!;
    if (comparison.kind !== 'paired') throw new Error('The row must be compared.');
    const cells = studyTable(findings).rows[1]!;
    expect(cells).toMatchObject({ row: 'label smoothing', p: comparison.corrected });
    expect(cells.mean).toMatchObject({ value: summary!.mean * 100, low: summary!.low! * 100 });
    expect(cells.difference).toMatchObject({ value: comparison.difference.mean * 100 });
    expect(studyMarkdown(findings)).toMatch(
      /\| label smoothing \| 8\d\.\d\d \\\[8\d\.\d\d, 8\d\.\d\d\\\] \| \+0\.\d\d \\\[\+0\.\d\d, \+\d\.\d\d\\\] \|/,
    );
  });

  test('a metric that is no accuracy keeps its unit, with four digits', () => {
    const markdown = studyMarkdown(madeFindings({ ...ablation, primary: 'nats' }));
    expect(markdown).toMatch(/\| test nats \| Difference, nats \|/);
    expect(markdown).toMatch(/\| base \| 0\.83\d\d \\\[0\.8\d\d\d, 0\.8\d\d\d\\\] \| — \|/);
  });

  test('costs of exported models are a column only where they differ', () => {
    const columns = ({ rows }: Findings) =>
      studyTable({ ...findings, rows }).columns.map(({ label }) => label);
    expect(columns(findings)).not.toContain('MACs');
    expect(studyTable(findings).caption).toMatch(/a model of 272\u00a0kB and 1.29M/);
    const pruned = findings.rows.map((row, i) => ({
      ...row,
      costs: row.costs.map((each) =>
        i === 1 && each.cost === 'macs' ? { ...each, mean: 1e6, ratio: 0.8 } : each,
      ),
    }));
    expect(columns({ ...findings, rows: pruned })).toEqual(
      expect.arrayContaining(['Time', 'CPU time', 'Time / base', 'Memory', 'Model', 'MACs']),
    );
  });
});

describe('multiply-accumulates that a layer does not tell', () => {
  /** Unknown in the rows `of`; in the others as they were. */
  const unknownIn = (...of: readonly number[]): Findings => ({
    ...findings,
    rows: findings.rows.map((row, i) => {
      if (!of.includes(i)) return row;
      const trials = [...row.trials].map(([seed, trial]) => {
        if (!trial || !('result' in trial)) return [seed, trial] as const;
        const cost = { ...trial.result.cost, macs: null };
        const result = { ...trial.result, cost, uncounted: ['own (Own)'] };
        return [seed, { ...trial, result }] as const;
      });
      const unknown = { mean: null, ratio: null, effect: null };
      const costs = row.costs.map((each) =>
        each.cost === 'macs' ? { ...each, ...unknown } : each,
      );
      return { ...row, trials: new Map(trials as [number, (typeof trials)[number][1]][]), costs };
    }),
  });
  const NAMED = 'MACs are unknown for models with these layers: own (Own).';

  test('in some rows: a column with a dash, and the layer is named', () => {
    const { columns, rows, caption } = studyTable(unknownIn(1));
    expect(columns.map(({ label }) => label)).toContain('MACs');
    expect(rows.map(({ macs }) => macs)).toEqual(rows.map((_, i) => (i === 1 ? null : 1.29e6)));
    expect(caption).toContain(NAMED);
  });

  test('in all rows: no number, and the layer is named', () => {
    const { caption } = studyTable(unknownIn(...findings.rows.keys()));
    expect(caption).toContain(NAMED);
    expect(caption).not.toContain('multiply-accumulates per example');
  });
});

describe('the page', () => {
  test('says what was compared and how', () => {
    const text = shown(page);
    expect(text).toContain('4 rows, trained with the same 10 seeds as the base');
    expect(text).toContain('in test accuracy (higher is better)');
    expect(text).toContain('with the same 8 random tries');
    expect(text).toContain('The test split was read once: 2026-01-03 10:20 UTC for 50 trials.');
    expect(text).toContain('backend wasm (WebAssembly 4.22.0, SIMD, 1 thread).');
    expect(text.split(' Manifest ', 1)[0]).not.toContain('passed over');
    expect(text).toContain('made for a test');
  });

  test('has a section for each question', () => {
    expect(headings(page)).toEqual([
      'Summary',
      'Differences to the base',
      'Seed by seed',
      'Learning curves',
      'Cost',
      'Other metrics',
      'What the rows change',
      'Manifest',
    ]);
  });

  test('tells what was tuned, what that cost, and that each seed has its own sample', () => {
    const draws = [
      { sets: ['optimizer.options.learningRate=0.1'], mean: 0.8 },
      { sets: ['optimizer.options.learningRate=0.2'], mean: 0.85 },
    ];
    const cost = { trials: 4, epochs: 6, seconds: 40, cpuSeconds: 44 };
    const tuning = [{ row: 'base', draws, chosen: 1, seeds: [11, 12], ...cost }];
    const made = { ...findings, tuning, resample: 'data.train.options.draw' };
    const html = studyPage(made);
    expect(headings(html)).toContain('Tuning');
    const text = shown(html);
    expect(text).toContain('with the same 8 random tries, each with 2 seeds');
    expect(text).toContain('Each seed draws its own training data (data.train.options.draw)');
    expect(text).toMatch(
      /base optimizer\.options\.learningRate=0\.2 85\.00 4 6 40\.0 s 44\.0 s 18\d s 19\d s/,
    );
  });

  test('says with which commit and on which machine trials ran, and what is other now', () => {
    const where = { espalier: '0.1.0', node: '20.20.2', backend: 'cpu', machine: '2 × CPU' };
    const commit = { hash: '0123456789abcdef', dirty: true };
    const environments = [
      { ...where, commit, trials: 30 },
      { ...where, commit: null, trials: 20 },
    ];
    const text = studyMarkdown({ ...findings, environments, differs: 'Other code: parts.ts.' });
    expect(text).toMatch(
      /30 trials ran with commit 0123456789 with changes and Node\.js 20\.20\.2 on 2 × CPU/,
    );
    expect(text).toContain('20 trials ran with code outside a repository');
    expect(text).toContain('30 trials ran with code that differs from the commit');
    expect(text).toContain('**Warning.** Other code: parts.ts.');
    expect(shown(studyPage({ ...findings, environments }))).toContain('Where the trials ran');
  });

  test('a study without blemish has no warning', () => {
    expect(page).not.toContain('note warning');
  });

  test('says which way is better', () => {
    expect(shown(page)).toContain('better is to the right');
    const [row, ...rest] = findings.rows;
    const falling = { ...row!.metrics[0]!, metric: { name: 'loss', direction: 'min' as const } };
    const rows = [{ ...row!, metrics: [falling] }, ...rest];
    expect(shown(studyPage({ ...findings, rows }))).toContain('better is to the left');
  });

  test('shows what every row changes, and the flags for it', () => {
    const text = shown(page);
    for (const { row } of findings.rows) {
      for (const change of row.diff) expect(text).toContain(change.replaceAll('"', '&quot;'));
    }
    expect(text).toContain(`# deeply supervised --set 'preset=&quot;deeply-supervised&quot;'`);
  });

  test('quotes flags for a shell', () => {
    const text = shown(studyPage(changed(1, { sets: [`note="it's"`] })));
    expect(text).toContain(String.raw`--set 'note=&quot;it'\''s&quot;'`);
  });

  test('gains per cost are not divided by noise', () => {
    const text = shown(page).replace(/^.*gained per added cost Row/, '');
    expect(text).toMatch(/^.*? label smoothing 1\.00 × — 1\.00 × —/);
    expect(text).toMatch(/ deeply supervised 1\.31 × \+0\.3\d\d /);
  });

  test.each([1, 10])('of %i seeds shows neither NaN nor undefined', (seeds) => {
    for (const split of ['test', 'validation'] as const) {
      const made = madeFindings({ ...ablation, seeds, split, primary: 'nats' });
      for (const text of [studyPage(made), studyMarkdown(made), studyCsv(made)]) {
        expect(text).not.toMatch(/NaN|undefined|Infinity|\[object/);
      }
    }
  });

  test('the base alone is a study too', () => {
    const alone = studyPage(madeFindings({ rows: [{ name: 'base' }] }));
    expect(shown(alone)).toContain('The base alone, trained with 10 seeds');
    expect(headings(alone)).not.toContain('Differences to the base');
  });

  test('a study of many rows has plots of a few each, with the base in all', () => {
    const rows = Array.from({ length: 60 }, (_, i) => ({ name: `row ${i}`, gain: i / 1e4 }));
    const many = studyPage(madeFindings({ rows, seeds: 2 }));
    expect(many).toContain('Values, rows 36 to 42');
    expect(many).not.toContain('rows 43');
    expect(shown(many)).toContain('The plots do not show the last 17 rows.');
    expect(many).toContain('row 59');
  });

  test('escapes what others wrote', () => {
    const hostile = '<img src=x onerror=alert(1)>';
    const rows = [{ name: 'base' }, { name: hostile, failed: [1], diff: [hostile] }];
    const made = madeFindings({ rows, name: hostile, message: hostile, primary: hostile });
    expect(studyPage(made)).not.toContain(hostile);
    expect(studyMarkdown(made)).not.toContain('<img');
  });
});

describe('what keeps figures from being evidence', () => {
  test('an unfinished study shows no tests', () => {
    const made = changed(2, { pending: [9, 10] });
    const text = shown(studyPage(made));
    expect(text).toContain('The study is not finished: 48 of 50 trials have ended.');
    expect(text).not.toMatch(/Holm|Paired/);
    expect(studyTable(made).rows[2]!.remarks).toBe('mean of 8 of 10 seeds');
  });

  test('a study before its first trial has a page', () => {
    const pending = findings.seeds;
    const rows = ablation.rows.map((row) => ({ ...row, pending }));
    const text = shown(studyPage(madeFindings({ ...ablation, rows })));
    expect(text).toContain('0 of 50 trials have ended.');
    expect(text).not.toMatch(/NaN|undefined/);
  });

  test('a row whose trials failed is not compared, and says why', () => {
    const made = changed(2, { failed: [2, 5, 6] });
    const html = studyPage(made);
    expect(headings(html)).toContain('Failed trials');
    const text = shown(html);
    expect(text).toContain("3 trials failed, of 'deeply supervised'.");
    expect(text).toContain('deeply supervised 2 3 study/crashed It ran out of memory.');
    expect(text).toContain("'deeply supervised' has no value for seeds 2, 5, 6 (study/crashed)");
    const { difference, remarks } = studyTable(made).rows[2]!;
    expect(difference).toBeUndefined();
    expect(remarks).toBe(
      "mean of 7 of 10 seeds; not compared: 'deeply supervised' has no value for seeds 2, 5, 6 (study/crashed)",
    );
  });

  test('a row that failed altogether has neither mean nor curve', () => {
    const made = changed(2, { failed: findings.seeds });
    expect(studyTable(made).rows[2]).toMatchObject({ mean: null, seconds: null });
    expect(studyPage(made)).not.toMatch(/NaN|undefined/);
  });

  test('equal differences are no evidence', () => {
    const made = changed(1, { exact: true });
    expect(studyTable(made).rows[1]!.p).toBe('no spread');
    expect(studyMarkdown(made)).toContain(
      "**Warning.** 'label smoothing': the difference to the base is the same for every seed.",
    );
  });

  test.each([
    [1, 'One seed is no evidence'],
    [4, '4 seeds are few'],
  ])('%i seeds are few', (seeds, warning) => {
    expect(shown(studyPage(madeFindings({ ...ablation, seeds })))).toContain(warning);
  });

  test('a test split that was read again', () => {
    const readings = [1, 2].map((day) => ({
      at: `2026-01-0${day}T00:00:00.000Z`,
      trials: 50,
      of: `${day}`,
    }));
    const text = shown(studyPage({ ...findings, readings }));
    expect(text).toContain('The test split was read 2 times. Only the first reading');
    expect(text).toContain(
      'read 2 times: 2026-01-01 00:00 UTC for 50 trials and 2026-01-02 00:00 UTC for 50 trials.',
    );
  });

  test('intervals of t and of the bootstrap that disagree', () => {
    const [base, row, ...rest] = findings.rows;
    const [primary, ...others] = row!.metrics;
    if (primary?.comparison.kind !== 'paired') throw new Error('The row must be compared.');
    const { comparison } = primary;
    const difference = { ...comparison.difference, low: -0.001 };
    const metrics = [{ ...primary, comparison: { ...comparison, difference } }, ...others];
    const made = { ...findings, rows: [base!, { ...row!, metrics }, ...rest] };
    expect(studyMarkdown(made)).toContain(
      "'label smoothing': the intervals of Student's t and of the bootstrap disagree",
    );
  });
});

test('the CSV has a line for each row, seed, metric and split, at full precision', () => {
  const made = changed(2, { failed: [1] });
  const lines = studyCsv(made).trimEnd().split('\r\n');
  expect(lines).toHaveLength(1 + 5 * 10 * 2 * 2);
  expect(lines[0]).toBe(
    'row,seed,metric,split,value,seconds,cpuSeconds,peakMemory,modelBytes,macs,failure',
  );
  const value = made.rows[0]!.metrics[0]!.values.get(1);
  const { validation } = made.rows[0]!.metrics[0]!;
  expect(lines[1]).toContain(`base,1,accuracy,validation,${validation.get(1)},`);
  expect(lines[2]).toContain(`base,1,accuracy,test,${value},`);
  expect(lines).toContain('deeply supervised,1,accuracy,test,,,,,,,study/crashed');
});
