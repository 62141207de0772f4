import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadArtifact } from '@espalier/formats/node';
import { disposeModel } from '@espalier/model';
import { onBackend } from '@espalier/testkit';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'espalier-'));
const child = join(folder, 'child.cjs');
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(async () => {
  await onBackend('cpu');
  await build({
    entryPoints: [fileURLToPath(new URL('./artifact-child.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    conditions: ['@espalier/source'],
    ignoreAnnotations: true, // else the import that registers the backend is left out
    logLevel: 'error',
    outfile: child,
  });
});

const run = (dir: string, first: number, second: number, moment: number) =>
  spawnSync(process.execPath, [child, dir, `${first}`, `${second}`, `${moment}`], {
    encoding: 'utf8',
  });

/** The value that all weights of the artifact have. */
async function valueIn(dir: string): Promise<number> {
  const { model } = await loadArtifact(dir);
  const values = new Set(model.getWeights()[0]!.dataSync());
  disposeModel(model);
  expect(values.size).toBe(1);
  return [...values][0]!;
}

test('a kill at any moment leaves the previous artifact or the new one, whole', async () => {
  const outcomes: number[] = [];
  const leftovers = new Map<string, string>();
  for (;;) {
    const dir = mkdtempSync(join(folder, 'run-'));
    const { signal, status, stderr } = run(dir, 1, 2, outcomes.length);
    if (signal === null) {
      expect(status, stderr).toBe(0);
      break;
    }
    expect(signal).toBe('SIGKILL');
    const value = await valueIn(dir);
    outcomes.push(value);
    leftovers.set(`${value} among ${readdirSync(dir).length} files`, dir);
  }
  // Two files, each: open, writes (each with a middle), fsync, rename, then open and fsync of the folder.
  // Weights are three writes: their names, the kernel, the bias.
  const around = 5 * 2;
  expect(outcomes).toHaveLength(2 * around + (3 + 1) * 3);
  expect(outcomes).toEqual([...outcomes].sort());
  expect(new Set(outcomes)).toEqual(new Set([1, 2]));

  for (const dir of leftovers.values()) {
    expect(run(dir, 3, 4, Infinity).status).toBe(0); // a later process saves as ever …
    expect(await valueIn(dir)).toBe(4);
    expect(readdirSync(dir)).toHaveLength(2); // … and clears away what was left
  }
});
