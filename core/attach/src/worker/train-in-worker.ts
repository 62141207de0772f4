import { EspalierError, printable } from '@espalier/base';
import { post } from './check-clonable.js';
import type { FitProgress } from './fit-reporter.js';
import { HELLO, isReadyMessage } from './messages.js';
import type {
  FromTraining,
  ToTraining,
  TrainingEnd,
  TrainingWarning,
  TrainMessage,
} from './messages.js';
import { unpackError } from './packed-error.js';
import type { Report } from './serve-training.js';
import { listenTo } from './worker-events.js';
import type { TrainingWorker } from './worker-events.js';

/** How a page follows and cancels a training. */
export interface TrainInWorkerOptions<Progress = never> {
  /** Gets what `report.callbacks` reports and what the task reports itself. */
  readonly onProgress?: (progress: FitProgress | Progress) => void;
  /** Gets warnings of the run, and errors outside of the task. Default: `console.warn`. */
  readonly onWarning?: (warning: TrainingWarning) => void;
  /** Cancels: the training ends after the running step, and its task returns the state so far. */
  readonly signal?: AbortSignal;
  /** Buffers of the input that move to the worker instead of being copied. */
  readonly transfer?: readonly Transferable[];
  /** How long the worker's script may take until it calls `serveTraining`, in milliseconds. Default: 60 000. */
  readonly startTimeout?: number;
}

/** What a training gave. */
export interface TrainingResult<Output> {
  /** What the task returned. */
  readonly output: Output;
  /** `cancelled` if the page had cancelled before the task returned: the output is the state so far. */
  readonly ended: TrainingEnd;
}

type Context<Task> = Task extends (context: infer C) => Promise<unknown> ? C : never;
type Input<Task> = Context<Task> extends { readonly input: infer I } ? I : never;
type Progress<Task> = Context<Task> extends { readonly report: Report<infer P> } ? P : never;
type Output<Task> = Task extends (context: never) => Promise<infer O> ? O : never;

const busy = new WeakSet<TrainingWorker>();

/**
 * Runs a training in a worker whose script calls `serveTraining`. The page stays free for its user.
 *
 * @typeParam Task The type of the worker's task.
 * @param worker A module worker; the page keeps it, for more trainings, and ends it.
 * @param input What the task gets: anything that can be sent to a worker. It is copied at once.
 * @returns What the task returned, and how it ended.
 * @throws EspalierError with the code, place, text and `details` of an error of the training, and
 * `details.stack`; `attach/worker-threw` for other errors there; `attach/worker-start` if the worker's script
 * does not load, fails or never calls `serveTraining`; `attach/worker-died` if the worker ends before the
 * training does; `attach/worker-busy` while it runs another training; `attach/worker-clone` if input or output
 * cannot be sent; `attach/worker-cancelled` if the task threw because of the cancellation.
 * @example
 * ```ts
 * import type { Task } from './train.worker.js';
 *
 * const worker = new Worker(new URL('./train.worker.ts', import.meta.url), { type: 'module' });
 * const cancel = new AbortController();
 * const { output, ended } = await trainInWorker<Task>(worker, { x, y, epochs: 20 }, {
 *   onProgress: ({ fraction, logs }) => show(fraction, logs),
 *   signal: cancel.signal,
 * });
 * const model = await tf.loadLayersModel(tf.io.fromMemory(output.model));
 * ```
 */
export async function trainInWorker<Task>(
  worker: TrainingWorker,
  input: Input<Task>,
  options: TrainInWorkerOptions<Progress<Task>> = {},
): Promise<TrainingResult<Output<Task>>> {
  if (busy.has(worker)) throw busyError();
  const { port1: port, port2: portOfTraining } = new MessageChannel();
  const over = new AbortController();
  busy.add(worker);
  try {
    post(port, 'input', input, { type: 'input', input }, options.transfer);
    passCancellation(port, options.signal, over.signal);
    const lock = await waitUntilReady(worker, options.startTimeout);
    const message: TrainMessage = { type: 'espalier:train', port: portOfTraining };
    (worker as Worker).postMessage(message, [portOfTraining]);
    const ended = waitForEnd(port, options);
    const died = waitForDeath(worker, port, lock, options, over.signal);
    return (await Promise.race([ended, died])) as TrainingResult<Output<Task>>;
  } finally {
    over.abort();
    busy.delete(worker);
    port.close();
  }
}

function passCancellation(port: MessagePort, from: AbortSignal | undefined, over: AbortSignal) {
  const cancel = () => port.postMessage({ type: 'cancel' } satisfies ToTraining);
  if (from?.aborted) cancel();
  else from?.addEventListener('abort', cancel, { signal: over });
}

/** Gives the name of the worker's lock, if it has one. */
async function waitUntilReady(
  worker: TrainingWorker,
  timeout = 60_000,
): Promise<string | undefined> {
  const ready = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise((resolve, reject) => {
      const fail = (why: string) => reject(startError(why));
      const message = (data: unknown) => isReadyMessage(data) && resolve(data.lock);
      listenTo(worker, { message, error: fail, end: fail }, ready.signal);
      timer = setTimeout(() => fail(`it did not call serveTraining within ${timeout} ms`), timeout);
      (worker as Worker).postMessage(HELLO, []);
    });
  } finally {
    clearTimeout(timer);
    ready.abort();
  }
}

type Handlers = Pick<TrainInWorkerOptions<never>, 'onProgress' | 'onWarning'>;

const warnInConsole = ({ message }: TrainingWarning) => console.warn(printable(message));

function waitForEnd(port: MessagePort, handlers: Handlers): Promise<TrainingResult<unknown>> {
  const { onProgress, onWarning = warnInConsole } = handlers;
  return new Promise((resolve, reject) => {
    port.onmessage = ({ data }: MessageEvent<FromTraining>) => {
      if (data.type === 'result') resolve({ output: data.output, ended: data.ended });
      else if (data.type === 'error') reject(unpackError(data.error));
      else if (data.type === 'progress') onProgress?.(data.progress);
      else onWarning(data.warning);
    };
  });
}

/** Rejects as soon as the worker can no longer answer; errors beside the training are warnings. */
function waitForDeath(
  worker: TrainingWorker,
  port: MessagePort,
  lock: string | undefined,
  { onWarning = warnInConsole }: Handlers,
  over: AbortSignal,
): Promise<never> {
  return new Promise((_, reject) => {
    const end = (why: string) => reject(diedError(why));
    const error = (why: string) => onWarning({ message: `beside the training: ${why}` });
    listenTo(worker, { message: () => {}, error, end }, over);
    port.addEventListener('messageerror', () => end('one of its messages cannot be read'));
    // A thread of Node says how it ended, but later; in a browser the lock becomes free.
    if ('addEventListener' in worker) port.addEventListener('close', () => end('it says no more'));
    if (lock !== undefined) void waitForLock(lock, over).then(() => end('it says no more'));
  });
}

/** Until the worker that holds the lock has ended; stays open if the training is over before. */
function waitForLock(name: string, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    navigator.locks.request(name, { signal: over }, async () => resolve()).catch(() => {});
  });
}

const busyError = () =>
  new EspalierError('attach/worker-busy', {
    problem: 'trainInWorker: this worker runs a training already',
    fix: 'Wait for it, cancel it, or start another worker.',
  });

const startError = (why: string) =>
  new EspalierError('attach/worker-start', {
    problem: `trainInWorker: the worker did not start: ${why}`,
    fix: "Write new Worker(new URL('./train.worker.ts', import.meta.url), { type: 'module' }), and call serveTraining in that file.",
  });

const diedError = (why: string) =>
  new EspalierError('attach/worker-died', {
    problem: `trainInWorker: the worker ended before the training did: ${why}`,
    fix: 'It may have run out of memory, or a script may have ended it. Start a new worker.',
  });
