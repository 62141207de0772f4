import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a trial took so far: by the clock, and of the processor by all threads. */
interface Times {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Times of a trial through all its attempts: what stood on the clock at each checkpoint is kept. */
export class Stopwatch {
  readonly #start = readClocks();

  private constructor(
    private readonly file: string,
    private readonly before: Times,
  ) {}

  /** Continues from the times noted at this step. */
  static async open(dir: string, step: number): Promise<Stopwatch> {
    const file = join(dir, 'seconds.tsv');
    const text = step === 0 ? '' : await readFile(file, 'utf8').catch(() => '');
    const lines = text.split('\n').map((line) => line.split('\t').map(Number));
    const known = lines.filter(
      ([at, ...times]) => at! <= step && times.length === 2 && times.every(Number.isFinite),
    );
    const [, seconds = 0, cpuSeconds = 0] = known.at(-1) ?? [];
    return new Stopwatch(file, { seconds, cpuSeconds });
  }

  read(): Times {
    const now = readClocks();
    return {
      seconds: this.before.seconds + now.seconds - this.#start.seconds,
      cpuSeconds: this.before.cpuSeconds + now.cpuSeconds - this.#start.cpuSeconds,
    };
  }

  /** Keeps what stands on the clock at a checkpoint. */
  note(step: number): void {
    const { seconds, cpuSeconds } = this.read();
    // A line that is lost costs the time of one interval, no result.
    void appendFile(this.file, `${step}\t${seconds}\t${cpuSeconds}\n`).catch(() => undefined);
  }
}

function readClocks(): Times {
  const { user, system } = process.cpuUsage();
  return { seconds: performance.now() / 1000, cpuSeconds: (user + system) / 1e6 };
}
