import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { analyse, loadStudy, Planner } from '@espalier/study';
import type { PlannedRow } from '@espalier/study';
import { onBackend } from '@espalier/testkit';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';

let folder: string;
beforeAll(() => onBackend('cpu'));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metadistiller-test-'));
  vi.stubEnv('DATA', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Images of a hundred classes, each of a grey of its own, since the samples of two seeds must differ. */
function putImages(file: string, count: number): void {
  const bytes = new Uint8Array(count * 3074);
  for (let i = 0; i < count; i++) {
    bytes.fill(Math.floor(i / 100), i * 3074 + 2, (i + 1) * 3074);
    bytes[i * 3074 + 1] = i % 100;
  }
  writeFileSync(join(folder, file), bytes);
}

test('the study can be planned: rows that are all compared, and what is tuned', async () => {
  putImages('train.bin', 12_000);
  putImages('test.bin', 10_000);
  const planner = await Planner.create(await loadStudy('examples/metadistiller/study.ts'));
  const rows: PlannedRow[] = [];
  for await (const row of planner.rows()) rows.push(row);
  await analyse(planner, rows, undefined); // what is tuned is checked here
  expect(rows.map(({ name }) => name)).toEqual([
    'base',
    'label smoothing',
    'deeply supervised',
    'BYOT',
    'uniform targets',
    'generator by labels',
    'MetaDistiller',
    'MetaDistiller, random sign',
  ]);
});
