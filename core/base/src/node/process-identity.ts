import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process, told from all others, also from a later one with its id. */
export interface ProcessIdentity {
  readonly host: string;
  /** The start of the system; null where nobody can tell. */
  readonly boot: string | null;
  /** The namespace of process ids (containers); null where there is none. */
  readonly namespace: string | null;
  readonly pid: number;
  /** When the process began, as the system says it; null where nobody can tell. */
  readonly start: string | null;
}

/** What is known of a process: it may be on another host, where nobody here can look. */
export type ProcessState = 'running' | 'gone' | 'elsewhere';

const LINUX = process.platform === 'linux';

/** This process. */
export function identifySelf(): ProcessIdentity {
  const { pid } = process;
  return {
    host: hostname(),
    boot: LINUX ? read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) : null,
    namespace: LINUX ? read(() => readlinkSync('/proc/self/ns/pid')) : null,
    pid,
    start: readStart(pid),
  };
}

/** Whether a process still runs. */
export function findState(other: ProcessIdentity): ProcessState {
  const self = identifySelf();
  if (other.host !== self.host) return 'elsewhere';
  if (other.boot !== self.boot) return 'gone';
  if (other.namespace !== self.namespace) return 'elsewhere';
  const start = exists(other.pid) ? readStart(other.pid) : ENDED;
  return start === ENDED || (start !== null && start !== other.start) ? 'gone' : 'running';
}

/** Of a process that has ended and is not yet collected. */
const ENDED = 'ended';

function readStart(pid: number): string | null {
  return LINUX
    ? read(() => parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8')))
    : askForStart(pid);
}

/** The name of the program, in brackets, may hold anything. */
function parseStat(text: string): string {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return /[ZXx]/.test(fields[0]!) ? ENDED : fields[19]!;
}

function askForStart(pid: number): string | null {
  const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return stdout?.trim() || null;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function read(work: () => string): string | null {
  try {
    return work();
  } catch {
    return null;
  }
}
