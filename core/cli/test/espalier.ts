import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const bin = fileURLToPath(new URL('../bin/espalier.js', import.meta.url));
export const fixtures = fileURLToPath(new URL('fixtures', import.meta.url));
const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Processes run the built command. */
export function build(): void {
  if (existsSync(new URL('../dist/main.js', import.meta.url))) return;
  execFileSync('npx', ['tsc', '-b', 'core/cli'], { cwd: root, stdio: 'inherit' });
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Options {
  readonly env?: Readonly<Record<string, string>>;
  /** Sees all output so far, whenever there is more. */
  readonly onOutput?: (output: string, child: ChildProcess) => void;
}

/** Runs the real command in the folder of the fixtures. */
export function espalier(args: readonly string[], { env, onOutput }: Options = {}): Promise<Ended> {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: fixtures,
    env: { ...process.env, ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    onOutput?.(stdout + stderr, child);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onOutput?.(stdout + stderr, child);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
