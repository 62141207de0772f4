import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseOptions } from '@espalier/core';
import pidusage from 'pidusage';
import { z } from 'zod';
import { limits as limitsSchema } from '../definition/schema.js';
import type { Limits } from '../definition/study.js';
import type { Executor, TrialEnd, TrialJob, TrialProgress } from './job.js';
import { writeJob } from './trial-folder.js';
import { readMessage } from './trial-message.js';

/** Built, also where this file is read as source. */
const PROCESS = fileURLToPath(new URL('../../dist/run/trial-process.js', import.meta.url));

/** The time that a trial has to save and end after the signal to stop. */
const GRACE_MS = 20_000;

/** How often memory is looked at. */
const WATCH_MS = 500;

const schema = z.strictObject({
  concurrency: z.int().positive().optional(),
  limits: limitsSchema.default({}),
});

/** How the local executor runs trials. */
export interface LocalExecutorOptions {
  /** Trials at a time; default: one for each core. */
  readonly concurrency?: number;
  /** Of one trial. */
  readonly limits?: Limits;
}

/**
 * Runs each trial in a process of its own on this machine.
 *
 * @throws EspalierError `options/invalid`.
 */
export function localExecutor(options: LocalExecutorOptions = {}): Executor {
  const { concurrency, limits } = parseOptions('localExecutor', schema, options);
  return {
    slots: concurrency ?? availableParallelism(),
    async run(job, { signal, onProgress }) {
      const jobFile = await writeJob(job.dir, job);
      const child = fork(PROCESS, [jobFile], {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        execArgv: [],
        serialization: 'advanced', // results hold NaN and infinities
      });
      return new Trial(child, job, limits).end(signal, onProgress);
    },
  };
}

/** A process and its reports. */
class Trial {
  #said: TrialEnd | undefined;
  #stopping = false;
  #stderr = '';
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(
    private readonly child: ChildProcess,
    private readonly job: TrialJob,
    private readonly limits: Limits,
  ) {}

  async end(signal: AbortSignal, onProgress: (progress: TrialProgress) => void): Promise<TrialEnd> {
    const { child } = this;
    child.on('message', (message: unknown) => {
      const { progress, end: said } = readMessage(message, this.job.id);
      if (progress) onProgress(progress);
      // The first report counts: an exceeded limit, or the end of the trial.
      if (said) this.#said ??= said;
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    this.#watch();
    const stop = () => this.#stop();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      const how = await waitForExit(child);
      if (this.#said) return this.#said;
      return this.#stopping ? { status: 'stopped' } : this.#reportCrash(how);
    } finally {
      signal.removeEventListener('abort', stop);
      this.#timers.forEach((timer) => clearInterval(timer));
    }
  }

  /** A trial saves at its next step and ends; one that does not is killed. */
  #stop(): void {
    this.#stopping = true;
    this.child.send('stop', () => undefined);
    this.#timers.push(setTimeout(() => this.child.kill('SIGKILL'), GRACE_MS));
  }

  #watch(): void {
    const { seconds, megabytes } = this.limits;
    if (seconds !== undefined) {
      const over = () =>
        this.#over('study/time-limit', `it took more than limits.seconds: ${seconds}`);
      this.#timers.push(setTimeout(over, seconds * 1000));
    }
    if (megabytes !== undefined) {
      this.#timers.push(setInterval(() => void this.#checkMemory(megabytes), WATCH_MS));
    }
  }

  async #checkMemory(most: number): Promise<void> {
    const usage = await pidusage(this.child.pid!).catch(() => undefined); // it has just ended
    if (usage === undefined || usage.memory <= most * 1e6) return;
    const taken = Math.round(usage.memory / 1e6);
    this.#over('study/memory-limit', `it took ${taken} MB, limits.megabytes is ${most}`);
  }

  #over(code: string, message: string): void {
    this.#said ??= { status: 'over', code, message };
    this.child.kill('SIGKILL');
  }

  #reportCrash(how: string): TrialEnd {
    const last = this.#stderr.trim().split('\n').slice(-5).join('\n');
    const message = last === '' ? how : `${how}; it said last:\n${last}`;
    return {
      status: 'crashed',
      message: `row '${this.job.row}', seed ${this.job.seed}: ${message}`,
    };
  }
}

function waitForExit(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(`its process could not be started: ${error.message}`));
    child.on('close', (code, signal) =>
      resolve(
        signal ? `its process was killed by ${signal}` : `its process ended with code ${code}`,
      ),
    );
  });
}
