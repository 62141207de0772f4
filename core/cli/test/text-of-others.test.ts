import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { loadStudy, runStudy } from '@espalier/study';
import type { TrialJob } from '@espalier/study';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from './in-process.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-text-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]) => join(folder, ...names);
const base = fileURLToPath(new URL('fixtures/run.json', import.meta.url));

/** A row that clears the screen and forges a line, and one that a spreadsheet computes. */
const [ESCAPE, FORMULA] = ['\u001b[2J\u202e\nforged  3/3', '=1+1'];
/** What a terminal obeys. */
const obeyed = /(?!\n)[\p{Cc}\u202a-\u202e]/u;

beforeAll(async () => {
  const set = (value: number) => ({ set: { 'optimizer.options.learningRate': value } });
  const factors = { rate: { [ESCAPE]: set(0.01), [FORMULA]: set(0.02) } };
  const contrasts = { [ESCAPE]: [{ of: ESCAPE, minus: 'base' }] };
  const study = { base, factors, contrasts, seeds: 3, primary: 'accuracy' };
  writeFileSync(at('others.json'), JSON.stringify(study));
  const cost = { seconds: 1, cpuSeconds: 1, peakMemory: 1e6, modelBytes: 100, macs: null };
  const end = ({ seed, row }: TrialJob) => {
    if (row === ESCAPE && seed === 3) {
      return { status: 'failed', code: 'x/y', message: `broke\r${ESCAPE}` } as const;
    }
    return {
      status: 'done',
      result: { metrics: { accuracy: seed / 9 }, history: [], cost },
    } as const;
  };
  await runStudy(await loadStudy(at('others.json')), {
    executor: { slots: 1, run: (job) => Promise.resolve(end(job)) },
  });
});

describe('names of others', () => {
  test.each(['plan', 'status', 'report'])('study %s prints as text', async (command) => {
    const { code, stdout, stderr } = await run('study', command, at('others.json'));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('forged');
    expect(stdout).not.toMatch(obeyed);
    expect(stdout).not.toMatch(/^forged/m);
  });

  test('are text in every file of a report', () => {
    const read = (name: string) => readFileSync(at('runs', 'others', name), 'utf8');
    expect(read('results.csv')).toContain(`"'=1+1",1,accuracy,validation,`);
    for (const name of ['results.csv', 'results.json', 'report.md', 'report.html']) {
      expect(read(name).replaceAll('\r\n', '\n').replaceAll('\t', ' ')).not.toMatch(obeyed);
    }
    expect(JSON.parse(read('results.json'))).toMatchObject({ rows: [{}, { name: ESCAPE }, {}] });
  });

  test('in an argument that is wrong are text too', async () => {
    const { code, stderr } = await run('study', 'plan', `no${ESCAPE}.json`, '--wrong\u001b[2J');
    expect(code).toBe(2);
    expect(stderr).toContain('--wrong');
    expect(stderr).not.toMatch(obeyed);
  });
});

test('a packed study chooses no folder outside of its own', async () => {
  expect(await run('study', 'pack', at('others.json'))).toMatchObject({ code: 0 });
  const lines = gunzipSync(readFileSync(at('others.study.gz')))
    .toString()
    .split('\n');
  for (const [i, dir] of ['../elsewhere', tmpdir(), 'a/../../b'].entries()) {
    const { plan } = JSON.parse(lines[1]!) as { plan: { definition: object } };
    plan.definition = { ...plan.definition, dir };
    const file = at(`foreign-${i}.study.gz`);
    writeFileSync(file, gzipSync(lines.toSpliced(1, 1, JSON.stringify({ plan })).join('\n')));
    for (const [command, option] of [
      ['report', '--out'],
      ['unpack', '--dir'],
    ] as const) {
      const refused = await run('study', command, file);
      expect(refused).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(`not inside of.*${option} DIR.*cli/packed`) as string,
      });
      const chosen = at(`chosen-${command}-${i}`);
      expect(await run('study', command, file, option, chosen)).toMatchObject({ code: 0 });
    }
  }
});
