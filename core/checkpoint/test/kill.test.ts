import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadLatest, saveCheckpoint } from '@espalier/checkpoint';
import { fileStore } from '@espalier/checkpoint/node';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'espalier-'));
const child = join(folder, 'child.cjs');
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL('./kill-child.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    conditions: ['@espalier/source'],
    logLevel: 'error',
    outfile: child,
  });
});

test.each([
  ['in the middle of the temporary write', 1],
  ['after the temporary write', 1],
  ['before fsync', 1],
  ['before the rename', 1],
  ['after the rename', 2],
])('a kill %s leaves step %i as the last good checkpoint', async (moment, step) => {
  const dir = mkdtempSync(join(folder, 'run-'));
  const { signal, stderr } = spawnSync(process.execPath, [child, dir, moment], {
    encoding: 'utf8',
  });
  expect(signal, stderr).toBe('SIGKILL');
  const temporaries = () => readdirSync(dir).filter((name) => name.startsWith('.tmp-'));
  expect(temporaries()).toHaveLength(step === 1 ? 1 : 0);

  const store = fileStore(dir);
  const skipped: string[] = [];
  const found = await loadLatest(store, (name) => skipped.push(name));
  expect(found?.manifest).toEqual({ step });
  expect(found?.tensors.get('w')!.data).toEqual(new Float32Array(1000).fill(step));
  expect(skipped).toEqual([]);

  await saveCheckpoint(store, { manifest: { step: 3 }, tensors: new Map() }, { step: 3 });
  expect(temporaries()).toEqual([]);
  expect((await loadLatest(store))?.manifest).toEqual({ step: 3 });
});

test('undisturbed, the child saves both', async () => {
  const dir = mkdtempSync(join(folder, 'run-'));
  expect(spawnSync(process.execPath, [child, dir, 'never']).status).toBe(0);
  expect(await fileStore(dir).list()).toHaveLength(2);
});
