import { Worker } from 'node:worker_threads';
import type { ReaderName } from './reader-names.js';

/** Cases of one reader. */
export interface Work {
  readonly reader: ReaderName;
  readonly seed: number;
  /** Number of the first case, and of the one behind the last. */
  readonly begin: number;
  readonly end: number;
  /** Int32: the case under way, cases read, cases refused. */
  readonly progress: SharedArrayBuffer;
}

/** A case that ended with an error of another kind, did not end, or left tensors. */
export interface Failure {
  readonly index: number;
  readonly sample: string;
  readonly kind: 'raw' | 'hang' | 'leak';
  readonly said: string;
}

/** What became of the cases of a reader. */
export interface Outcome {
  readonly read: number;
  readonly refused: number;
  readonly failures: readonly Failure[];
}

/** A case that takes longer is ended, and counts as one that never would have. */
const LIMIT_SECONDS = 30;

/**
 * Runs the first `cases` cases of a reader in a thread of its own, which is ended where a case does not end.
 *
 * @param thread The built `worker.js`.
 */
export async function runReader(
  thread: URL,
  {
    reader,
    cases,
    seed,
  }: { readonly reader: ReaderName; readonly cases: number; readonly seed: number },
): Promise<Outcome> {
  const progress = new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT);
  const counters = new Int32Array(progress);
  const failures: Failure[] = [];
  for (let begin = 0; begin < cases; begin = counters[0]! + 1) {
    const ended = await runWorker(thread, { reader, seed, begin, end: cases, progress }, failures);
    if (ended) break;
    failures.push({ index: counters[0]!, sample: '', kind: 'hang', said: '' });
  }
  return { read: counters[1]!, refused: counters[2]!, failures };
}

/** Whether all cases ended. */
function runWorker(thread: URL, work: Work, failures: Failure[]): Promise<boolean> {
  const counters = new Int32Array(work.progress);
  // What TensorFlow.js warns of damaged models is not shown.
  const worker = new Worker(thread, {
    workerData: work,
    execArgv: [], // those of a test would have it read sources
    stdout: true,
    stderr: true,
  });
  worker.on('message', (failure: Failure) => failures.push(failure));
  let [current, since] = [-1, Date.now()];
  const watch = setInterval(() => {
    if (counters[0] !== current) [current, since] = [counters[0]!, Date.now()];
    else if (Date.now() - since > LIMIT_SECONDS * 1000) void worker.terminate();
  }, 1000);
  return new Promise<boolean>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', (status) => resolve(status === 0));
  }).finally(() => clearInterval(watch));
}
