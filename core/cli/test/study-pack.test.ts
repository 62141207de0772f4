import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadStudy, runStudy } from '@espalier/study';
import type { TrialJob } from '@espalier/study';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from './in-process.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-pack-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]) => join(folder, ...names);
const base = fileURLToPath(new URL('fixtures/run.json', import.meta.url));
const factors = { slow: { set: { 'optimizer.options.learningRate': 0.01 } } };
const tune = { trials: 1, space: { 'model.options.units': { choices: [8, 9] } } };
const contrasts = { main: [{ of: 'slow', minus: 'base' }] };

/** A study whose trials end with made-up numbers. */
beforeAll(async () => {
  const study = {
    base,
    factors,
    contrasts,
    seeds: 3,
    primary: 'accuracy',
    smallestEffect: 0.01,
    tune,
  };
  writeFileSync(at('mine.json'), JSON.stringify(study));
  const cost = { seconds: 1, cpuSeconds: 1, peakMemory: 1e6, modelBytes: 100, macs: null };
  const end = ({ row, seed }: TrialJob) => {
    const metrics = { accuracy: (row === 'base' ? 0.5 : 0.6) + 0.001 * ((7 * seed) % 4) };
    return { status: 'done', result: { metrics, history: [{ epoch: 1, metrics }], cost } } as const;
  };
  await runStudy(await loadStudy(at('mine.json')), {
    executor: { slots: 1, run: (job) => Promise.resolve(end(job)) },
  });
});

test('a study is packed, reported from the file alone, and put back', async () => {
  const packed = await run('study', 'pack', at('mine.json'));
  expect(packed).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/mine\.study\.gz: 8 trials, 0\.0\d MB/) as string,
  });
  const live = await run('study', 'report', at('mine.json'), '--out', at('live'));
  rmSync(at('runs'), { recursive: true });
  const file = at('mine.study.gz');
  const report = await run('study', 'report', file, '--out', at('report'));
  expect(report.stdout.replaceAll(at('report'), at('live'))).toBe(live.stdout);
  for (const name of ['report.md', 'results.csv', 'results.json', 'contrasts-1.svg']) {
    expect(readFileSync(at('report', name), 'utf8')).toBe(readFileSync(at('live', name), 'utf8'));
  }
  expect(await run('study', 'unpack', file)).toMatchObject({ code: 0 });
  expect(await run('study', 'plan', at('mine.json'))).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/slow {2}3\/3.*0 to run/s) as string,
  });
  expect(await run('study', 'unpack', file)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('holds a study already') as string,
  });
});

test('a file of the plan before the study changed says so', async () => {
  const study = JSON.parse(readFileSync(at('mine.json'), 'utf8')) as object;
  writeFileSync(at('mine.json'), JSON.stringify({ ...study, metrics: ['loss'] }));
  const changed = await run('study', 'pack', at('mine.json'), '--out', at('changed.gz'));
  writeFileSync(at('mine.json'), JSON.stringify(study));
  const same = await run('study', 'pack', at('mine.json'), '--out', at('same.gz'));
  expect([changed, same].map(({ stdout }) => stdout.includes('has changed since'))).toEqual([
    true,
    false,
  ]);
});

test('a packed file where the study is wanted, and a folder that cannot be one, are told by name', async () => {
  const file = at('mine.study.gz');
  await run('study', 'pack', at('mine.json'));
  for (const command of ['plan', 'run', 'status', 'pack']) {
    expect((await run('study', command, file)).stderr).toMatch(
      /mine\.study\.gz is a packed study.*study report.*study unpack/,
    );
  }
  const { code, stderr } = await run('study', 'report', file, '--out', at('mine.json', 'x'));
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/cannot write the report into.*cli\/out/),
  ]);
});

test('test results that were never made cannot be reported; a damaged file is told by name', async () => {
  const file = at('mine.study.gz');
  await run('study', 'pack', at('mine.json'));
  expect(await run('study', 'report', file, '--test', '--out', at('none'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no results of the test data') as string,
  });
  writeFileSync(at('cut.study.gz'), readFileSync(file).subarray(0, 900));
  for (const command of ['report', 'unpack']) {
    expect(await run('study', command, at('cut.study.gz'))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/cut\.study\.gz is damaged or cut short/) as string,
    });
  }
  expect(await run('study', 'report', at('lost.study.gz'))).toMatchObject({ code: 1 });
  expect(await run('study', 'pack', at('mine.json'), '--out', at('x.db'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('.gz') as string,
  });
});

test('the plan of a study that has not run tells that a row comes after the others', async () => {
  const fields = { base, factors, seeds: 3, primary: 'accuracy', equalCompute: true };
  writeFileSync(at('new.json'), JSON.stringify(fields));
  const { stdout } = await run('study', 'plan', at('new.json'));
  expect(stdout).toMatch(/6 to run.*\nThe row of equal compute comes after them\./);
  expect((await run('study', 'status', at('new.json'))).stdout).toContain('no trial has ended yet');
});

test('what a terminal would obey is shown, not printed; contrasts have their name, warnings are printed', async () => {
  const factors = { '\u001b[31mred': { set: { 'optimizer.options.learningRate': 0.01 } } };
  const contrasts = { main: [{ of: '\u001b[31mred', minus: 'base' }] };
  const fields = { base, factors, contrasts, seeds: 3, primary: 'accuracy' };
  writeFileSync(at('red.json'), JSON.stringify(fields));
  const failure = { status: 'failed', code: 'study/threw', message: '\u001b[2J' } as const;
  await runStudy(await loadStudy(at('red.json')), {
    executor: { slots: 1, run: () => Promise.resolve(failure) },
  });
  const outputs: string[] = [];
  for (const command of ['plan', 'status', 'report']) {
    outputs.push((await run('study', command, at('red.json'))).stdout);
  }
  expect(outputs.join('')).not.toContain('\u001b');
  expect(outputs[1]).toMatch(/base +3 of 3 ended {2}3 failed/);
  expect(outputs[2]).toMatch(/Contrasts: main\n.*Warning: 6 trials failed/s);
});

test('with the study, a packed report says what differs here and now', async () => {
  await run('study', 'pack', at('mine.json'));
  const same = await run('study', 'report', at('mine.study.gz'), '--study', at('mine.json'));
  expect(same.stdout).not.toContain('What differs');
});
