import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { keyedRng } from '@espalier/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const child = fileURLToPath(new URL('./child.mjs', import.meta.url));
const folders: string[] = [];
const folder = () => {
  folders.push(mkdtempSync(join(tmpdir(), 'espalier-kill-')));
  return folders[folders.length - 1]!;
};
afterAll(() => folders.forEach((dir) => rmSync(dir, { recursive: true })));

interface Outcome {
  /** Lines printed. */
  readonly lines: readonly string[];
  readonly signal: NodeJS.Signals | null;
}

/** Runs the child; kills it when it has printed `killAfter` lines. */
function run(dir: string, { killAfter = Infinity, kill = '' } = {}): Promise<Outcome> {
  const started = spawn(process.execPath, [child, dir, kill], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: started.stdout }).on('line', (line) => {
    lines.push(line);
    if (lines.length === killAfter) started.kill('SIGKILL');
  });
  return new Promise((resolve) =>
    started.on('close', (_code, signal) => resolve({ lines, signal })),
  );
}

const resultOf = ({ lines }: Outcome) => lines.find((line) => line.startsWith('done '));

describe('a process killed with SIGKILL', () => {
  let whole: Outcome;
  let undisturbed: string | undefined;
  beforeAll(async () => {
    whole = await run(folder());
    undisturbed = resultOf(whole);
    expect(undisturbed).toMatch(/^done [0-9a-f]{64}$/);
  });

  test('at 20 random points goes on bit for bit', async () => {
    const draw = keyedRng(0, 'kill');
    const dir = folder();
    let kills = 0;
    let outcome: Outcome;
    do {
      const killAfter = kills < 20 ? 1 + Math.floor(draw() * 3) : Infinity;
      outcome = await run(dir, { killAfter });
      if (outcome.signal === 'SIGKILL') kills += 1;
    } while (outcome.signal === 'SIGKILL');
    expect(kills).toBe(20);
    expect(resultOf(outcome)).toBe(undisturbed);
  });

  test.each([
    ['before the temporary write', 'write:before:3'],
    ['after the temporary write', 'write:after:3'],
    ['before fsync', 'fsync:before:5'],
    ['after fsync', 'fsync:after:5'],
    ['before the rename', 'rename:before:3'],
    ['after the rename', 'rename:after:3'],
  ])('%s goes on bit for bit', async (_when, kill) => {
    const dir = folder();
    const killed = await run(dir, { kill });
    expect(killed.signal).toBe('SIGKILL');
    const resumed = await run(dir);
    expect(resultOf(resumed)).toBe(undisturbed);
    expect(resumed.lines.length).toBeLessThan(whole.lines.length);
  });
});
