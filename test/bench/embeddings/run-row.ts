import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { PreparedMatrix } from './data.js';
import type { Method, Setting } from './methods.js';

/** What a child process is told, as JSON. */
export interface Job {
  /** Path of the matrix, `.npy` in float32. */
  readonly matrix: string;
  /** Path of a JSON list of counts by row. */
  readonly counts: string | null;
  /** Where the decoded matrix goes, `.npy`. */
  readonly decoded: string;
  readonly method: string;
  readonly setting: Setting;
}

/** What a child process says. Seconds are of the processor. */
interface Compressed {
  readonly bytes: number;
  readonly seconds: number;
  readonly decodeSeconds: number;
  /** Largest resident set in MiB: with the matrix loaded, and up to the end of compression. */
  readonly base: number;
  readonly peak: number;
}

/** A mean over queries with its standard error, and the means of groups of queries. */
interface Kept {
  readonly mean: number;
  readonly error: number;
  readonly groups: readonly number[];
}

interface Measured {
  /** Shares of the ten nearest neighbours that are kept: queries of each tenth of all rows, and of the 5 000 most frequent. */
  readonly all: Kept;
  readonly top: Kept | null;
  readonly error: number;
  readonly weighted: number | null;
  readonly sine: number;
}

/** Which queries are asked. */
export interface Asked {
  readonly queries: number;
  readonly half: 'odd' | 'even';
  readonly seed: number;
}

/** What a row is of: a row with the same is not run again. */
export interface RowKey extends Asked {
  readonly matrix: string;
  /** Of the matrix and its counts. */
  readonly hash: string;
  readonly ratio: number;
  readonly method: string;
}

/** A row of results. */
export interface Row extends RowKey, Compressed, Measured {
  readonly by: string;
  readonly setting: Setting;
  /** Bytes of the matrix in float32. */
  readonly input: number;
}

const fromHere = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const child = fromHere('../embeddings-child.js');
const script = (name: string) => fromHere(`../../../bench/embeddings/${name}.py`);
const run = promisify(execFile);
const ONE_THREAD = { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' };

/** Compresses in a process of its own, and measures what it decoded in another. */
export async function runRow(
  python: string,
  { file, counts, rows, columns, truths }: PreparedMatrix,
  method: Method & { readonly setting: Setting },
  key: RowKey,
): Promise<Row> {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-embeddings-'));
  try {
    const decoded = join(folder, 'decoded.npy');
    const files = { matrix: file, counts: counts ?? null, decoded };
    const job: Job = { ...files, method: key.method, setting: method.setting };
    const compressed = await ask<Compressed>(
      method.by === 'Espalier' ? [process.execPath, child] : [python, script('peers')],
      job,
    );
    const { queries, half, seed } = key;
    const cache = join(truths, `${key.hash}-${queries}-${half}-${seed}.npy`);
    const asked = { ...files, cache, queries, half, seed };
    const measured = await ask<Measured>([python, script('measure')], asked);
    const row = { by: method.by, setting: method.setting, input: 4 * rows * columns };
    return { ...key, ...row, ...compressed, ...measured };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function ask<T>([command, path]: readonly [string, string], request: object): Promise<T> {
  const env = { ...process.env, ...ONE_THREAD };
  const args = [path, JSON.stringify(request)];
  try {
    const { stdout } = await run(command, args, { env });
    return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1)) as T;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(stderr?.trim().split('\n').at(-1) ?? message, { cause: error });
  }
}
