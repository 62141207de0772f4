import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** What a compression took. */
export interface CompressRun {
  /** What the command printed with `--json`. */
  readonly told: unknown;
  /** What it printed beside that, where it was not inherited. */
  readonly printed: string;
  readonly seconds: number;
  /** The largest resident memory of the process and of those that it started, together. */
  readonly peakBytes: number;
}

/** Milliseconds from one look at the memory to the next. */
const INTERVAL = 50;

/**
 * Runs `espalier compress … --json` in a process of its own and watches its memory (Linux only).
 *
 * @throws Error with what the command printed, where it fails.
 */
export async function runCompress(
  bin: string,
  args: readonly string[],
  { env, inherit = false }: { readonly env?: NodeJS.ProcessEnv; readonly inherit?: boolean } = {},
): Promise<CompressRun> {
  const since = performance.now();
  const child = spawn(process.execPath, [bin, 'compress', ...args, '--json'], {
    stdio: ['ignore', 'pipe', inherit ? 'inherit' : 'pipe'],
    env: { ...process.env, ...env },
  });
  let [stdout, stderr, peakBytes] = ['', '', 0];
  child.stdout!.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr?.on('data', (text: Buffer) => (stderr += text.toString()));
  const look = () => (peakBytes = Math.max(peakBytes, residentBytes(child.pid!)));
  const timer = setInterval(look, INTERVAL);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(timer);
  if (code !== 0) throw new Error(`espalier compress ended with ${String(code)}: ${stderr}`);
  return {
    told: JSON.parse(stdout),
    printed: stderr,
    seconds: (performance.now() - since) / 1000,
    peakBytes,
  };
}

/** Resident memory of a process and of all that it started. */
function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const own = 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
    const tasks = readdirSync(`/proc/${pid}/task`);
    const children = tasks.flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
    );
    return children.reduce((sum, child) => sum + residentBytes(Number(child)), own);
  } catch {
    return 0; // it has ended
  }
}
