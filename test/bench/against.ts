import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { timingOf } from './measure.js';

/** One figure of two checkouts, measured in pairs of runs. */
export interface Comparison {
  readonly name: string;
  readonly unit: string;
  /** Medians over the runs. */
  readonly here: number;
  readonly there: number;
  /** `here` − `there`, run by run, in ascending order. */
  readonly differences: readonly number[];
}

interface Line {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

const MAIN = 'test/dist/bench/main.js';
const here = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Runs one bench of this checkout and of another in turn, each time in a new process, and changes the
 * order every time: what slows the machine down slows both. Both checkouts must be built.
 */
export function compareCheckouts(
  bench: string,
  folder: string,
  { quick, pairs = 5 }: { readonly quick: boolean; readonly pairs?: number },
): readonly Comparison[] {
  const there = resolve(folder);
  if (!existsSync(join(there, MAIN))) {
    throw new Error(`${there} has no built bench: run npm ci and npx tsc -b in it`);
  }
  const runs = Array.from({ length: pairs }, (_, i) => {
    const first = runBench(i % 2 === 0 ? here : there, bench, quick);
    const second = runBench(i % 2 === 0 ? there : here, bench, quick);
    return i % 2 === 0 ? { here: first, there: second } : { here: second, there: first };
  });
  return runs[0]!.here.map(({ name, unit }) => {
    const both = runs.map(
      (run) => [findValue(run.here, name), findValue(run.there, name)] as const,
    );
    return {
      name,
      unit,
      here: timingOf(both.map(([value]) => value)).median,
      there: timingOf(both.map(([, value]) => value)).median,
      differences: both.map(([a, b]) => a - b).sort((a, b) => a - b),
    };
  });
}

function runBench(folder: string, bench: string, quick: boolean): readonly Line[] {
  const options = [bench, '--json', ...(quick ? ['--quick'] : [])];
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', join(folder, MAIN), ...options],
    { cwd: folder, encoding: 'utf8' },
  );
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  if (lines.length === 0) throw new Error(`the bench of ${folder} printed no figures: ${stderr}`);
  return lines.map((line) => JSON.parse(line) as Line);
}

const findValue = (lines: readonly Line[], name: string): number =>
  lines.find((line) => line.name === name)?.value ?? NaN;
