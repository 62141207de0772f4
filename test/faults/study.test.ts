import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { keyedRng } from '@espalier/core';
import { StudyStore } from '@espalier/study';
import type { TrialRecord } from '@espalier/study';
import { afterAll, beforeAll, expect, test } from 'vitest';

const runner = fileURLToPath(new URL('./study/runner.mjs', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'espalier-study-'));
afterAll(() => rmSync(root, { recursive: true }));

const TRIALS = 60;
const KILLS = 30;

interface How {
  readonly inProcess?: boolean;
  /** Called with the event and the id of its trial. */
  readonly onLine?: (event: string, id: string, process: ChildProcess) => void;
}

/** Runs the study until it ends or is killed. */
function run(dir: string, { onLine, inProcess = false }: How = {}): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [runner, dir, inProcess ? 'in-process' : 'processes'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ESPALIER_PIDS: pidsOf(dir) },
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [event = '', ...rest] = line.split(' ');
    onLine?.(event, rest.join(' '), child);
  });
  return new Promise((resolve) => child.on('close', (_code, signal) => resolve(signal)));
}

const pidsOf = (dir: string) => `${dir}.pids`;

/** The processes of trials that were started and have not ended, orphans among them. */
function trialsAlive(dir: string): readonly number[] {
  const started = readFileSync(pidsOf(dir), 'utf8').trim().split('\n').map(Number);
  return started.slice(-6).filter((pid) => kill(pid, 0));
}

function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // it has ended
  }
}

/** What a trial found, without what its clock and memory were. */
const foundBy = (dir: string) => {
  const store = StudyStore.read(dir)!;
  const records = store.trials();
  store.close();
  return new Map(records.map((record) => [record.id, found(record)]));
};

function found({ row, seed, ...outcome }: TrialRecord) {
  if (!('result' in outcome)) return { row, seed, failure: outcome.failure };
  const { metrics, history, cost } = outcome.result;
  return { row, seed, metrics, history, modelBytes: cost.modelBytes };
}

let undisturbed: ReturnType<typeof foundBy>;
beforeAll(async () => {
  const dir = join(root, 'undisturbed');
  expect(await run(dir, { inProcess: true })).toBeNull();
  undisturbed = foundBy(dir);
  expect(undisturbed.size).toBe(TRIALS);
}, 1_200_000);

test('60 trials, runner and trials killed 30 times: each ends once, and as without kills', async () => {
  const dir = join(root, 'killed');
  const draw = keyedRng(0, 'study-kills');
  const next = () => 1 + Math.floor(draw() * 8);
  const killed = { runner: 0, trial: 0 };
  const ended: string[] = [];
  let outcome: string | undefined;
  let until = next();
  const onLine = (event: string, id: string, child: ChildProcess) => {
    if (event === 'end') ended.push(id);
    if (event === 'outcome') outcome = id;
    until -= 1;
    if (until > 0 || killed.runner + killed.trial === KILLS) return;
    until = next();
    const alive = draw() < 0.4 ? [] : trialsAlive(dir);
    const victim = alive[Math.floor(draw() * alive.length)];
    if (victim === undefined) {
      if (kill(child.pid!, 'SIGKILL')) killed.runner += 1;
    } else if (kill(victim, 'SIGKILL')) killed.trial += 1;
  };
  while ((await run(dir, { onLine })) === 'SIGKILL');

  expect(outcome).toBe('completed 0');
  expect(killed.runner + killed.trial).toBe(KILLS);
  expect(Math.min(killed.runner, killed.trial)).toBeGreaterThan(5);
  expect(new Set(ended).size).toBe(ended.length);
  expect(readdirSync(join(dir, 'trials'))).toHaveLength(TRIALS);
  expect(foundBy(dir)).toEqual(undisturbed);
}, 1_200_000);
