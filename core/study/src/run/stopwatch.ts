import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Seconds of a trial through all its attempts: what stood on the clock at each checkpoint is kept. */
export class Stopwatch {
  readonly #start = performance.now();

  private constructor(
    private readonly file: string,
    private readonly before: number,
  ) {}

  /** Continues from the time noted at this step. */
  static async open(dir: string, step: number): Promise<Stopwatch> {
    const file = join(dir, 'seconds.tsv');
    const text = step === 0 ? '' : await readFile(file, 'utf8').catch(() => '');
    const lines = text.split('\n').map((line) => line.split('\t').map(Number));
    const known = lines.filter(([at, seconds]) => at! <= step && Number.isFinite(seconds));
    return new Stopwatch(file, known.at(-1)?.[1] ?? 0);
  }

  get seconds(): number {
    return this.before + (performance.now() - this.#start) / 1000;
  }

  /** Keeps what stands on the clock at a checkpoint. */
  note(step: number): void {
    // A line that is lost costs the time of one interval, no result.
    void appendFile(this.file, `${step}\t${this.seconds}\n`).catch(() => undefined);
  }
}
