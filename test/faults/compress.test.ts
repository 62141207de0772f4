import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeCounts, writeMatrix } from '../bench/large/make-matrix.js';
import { runCompress } from '../bench/large/run-compress.js';

const BIN = fileURLToPath(new URL('../../core/cli/bin/espalier.js', import.meta.url));
let folder = '';
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-compress-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Files of an artifact. */
async function read(out: string) {
  const names = (await readdir(at(out))).filter((name) => name !== 'report.html').sort();
  return Promise.all(names.map(async (name) => [name, await readFile(join(at(out), name))]));
}

/** Compresses until a text is printed, and kills it then; gives what was printed. */
function killAt(text: string, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [BIN, 'compress', ...args]);
  let printed = '';
  child.stderr.on('data', (more: Buffer) => {
    printed += more.toString();
    if (printed.includes(text)) child.kill('SIGKILL');
  });
  return new Promise((resolve) => child.on('close', () => resolve(printed)));
}

it('a compression that is killed goes on, and its result is that of one that was not', async () => {
  writeMatrix(at('narrow.npy'), { rows: 40_000, columns: 64 }); // three pieces
  const args = (out: string) => [at('narrow.npy'), '--ratio', '6', '--out', at(out)];
  await runCompress(BIN, args('whole'));
  await killAt('rows coded', args('killed'));
  expect(await readdir(folder)).toContain('killed.unfinished');
  expect(await readdir(folder)).not.toContain('killed');
  const { printed } = await runCompress(BIN, args('killed'));
  expect(printed).toContain('Going on with what killed.unfinished holds');
  expect(printed).not.toContain('rows surveyed');
  expect(await read('killed')).toEqual(await read('whole'));
  expect(await readdir(folder)).not.toContain('killed.unfinished');

  await killAt('rows coded', args('other'));
  const other = await runCompress(BIN, [...args('other'), '--objective', 'uniform']);
  expect(other.printed).toContain('other.unfinished is of another input or of other options');
  expect(other.printed).toContain('rows surveyed');
});

const COLUMNS = 1024;

it('a hundredth of a matrix of 793 471 × 1024 takes no more memory than it may', async () => {
  const rows = 7935;
  writeMatrix(at('wide.npy'), { rows, columns: COLUMNS });
  writeCounts(at('counts.txt'), rows);
  const args = [at('wide.npy'), '--counts', at('counts.txt'), '--ratio', '26', '--out', at('wide')];
  const { told, peakBytes } = await runCompress(BIN, args);
  expect(peakBytes).toBeLessThan(1.25 * 2 ** 30);
  const { before, after } = (told as { totals: { matrices: Record<'after' | 'before', number> } })
    .totals.matrices;
  expect(before).toBe(4 * rows * COLUMNS);
  expect(after).toBeLessThanOrEqual(before / 26);
});
