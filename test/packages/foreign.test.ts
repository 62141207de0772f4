import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installPacked } from './pack.js';
import type { Consumer } from './pack.js';

const base = mkdtempSync(join(tmpdir(), 'espalier-foreign-'));
let project: Consumer;
beforeAll(() => {
  project = installPacked(base, 'foreign', []);
  const [{ filename }] = JSON.parse(project.run('npm', 'pack', '--json', './plugin')) as [
    { filename: string },
  ];
  project.run('npm', 'install', '--ignore-scripts', '--prefer-offline', `./${filename}`);
});
afterAll(() => rmSync(base, { recursive: true }));

test('a packed plugin of a third party passes the conformance kit', () => {
  const report = project.run('npx', '--no', '--', 'vitest', 'run', '--reporter=json');
  const { numPassedTests, numFailedTests } = JSON.parse(report) as Record<string, number>;
  expect([numPassedTests, numFailedTests]).toEqual([14, 0]);
});

test('a study with it runs', () => {
  const espalier = (...args: string[]) => project.run('npx', '--no', '--', 'espalier', ...args);
  espalier('study', 'run', 'study.js', '--quiet');
  espalier('study', 'report', 'study.js');
  const csv = readFileSync(join(project.folder, 'runs/study/results.csv'), 'utf8');
  const rows = csv
    .trim()
    .split('\r\n')
    .slice(1)
    .map((line) => line.split(','));
  expect(rows.map(([name, seed]) => `${name} ${seed}`)).toEqual([
    'base 1',
    'base 2',
    'no penalty 1',
    'no penalty 2',
  ]);
  expect(rows.map((row) => row.at(-1))).toEqual(['', '', '', '']);
});
