import { EspalierError } from '@espalier/base';
import type { Callback } from '@tensorflow/tfjs-layers';
import { post } from './check-clonable.js';
import { FitReporter } from './fit-reporter.js';
import { HELLO, isTrainMessage } from './messages.js';
import type { FromTraining, ReadyMessage, ToTraining, TrainingWarning } from './messages.js';
import { packError } from './packed-error.js';

/** How a training tells the page what happens; itself a function that sends values of your own. */
export interface Report<Progress> {
  /**
   * Sends a value to `onProgress` of the page.
   *
   * @throws EspalierError `attach/worker-clone` if it cannot be sent.
   */
  (progress: Progress): void;
  /**
   * For `callbacks` of `fit` and `fitDataset`: reports batches and epochs, and stops the fit after the
   * running step when the page cancels. In a list it comes first; others are callback objects, too
   * (`new tf.CustomCallback({ … })`).
   */
  readonly callbacks: Callback;
  /** Passes a warning on: `attach(model, preset, { onWarning: report.warn })`. */
  readonly warn: (warning: TrainingWarning | string) => void;
}

/** What a task gets. */
export interface TrainingContext<Input, Progress = never> {
  /** What the page sent. */
  readonly input: Input;
  /** Aborted when the page cancels; a loop of your own looks at it after each step. */
  readonly signal: AbortSignal;
  readonly report: Report<Progress>;
}

/** A training as a function: what it returns is sent to the page. */
export type TrainingTask<Input, Output, Progress = never> = (
  context: TrainingContext<Input, Progress>,
) => Promise<Output>;

/** Where trainings are asked for: the global scope of a worker, or `parentPort` of a thread of Node. */
export interface WorkerScope {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
  start?(): void;
}

/**
 * Makes a worker run trainings that pages ask for with `trainInWorker`, one after the other. Call it once in
 * the worker's script.
 *
 * @param task Builds or loads the model, trains it, returns what the page needs. What it throws, the page
 * gets as an error.
 * @param scope Default: the worker's global scope.
 * @example
 * ```ts
 * // train.worker.ts
 * const task = async ({ input, report }: TrainingContext<Input>) => {
 *   const model = buildModel();
 *   await attach(model, byot(), { onWarning: report.warn });
 *   await model.fit(tf.tensor2d(input.x), tf.tensor2d(input.y), {
 *     epochs: input.epochs,
 *     callbacks: report.callbacks,
 *   });
 *   return { model: await getModelArtifacts(model) };
 * };
 * export type Task = typeof task; // for the page
 * serveTraining(task);
 * ```
 */
export function serveTraining<Input, Output, Progress = never>(
  task: TrainingTask<Input, Output, Progress>,
  scope: WorkerScope = globalThis as unknown as WorkerScope,
): void {
  const lock = holdLock();
  const announce = async () =>
    scope.postMessage({ type: 'espalier:ready', lock: await lock } satisfies ReadyMessage);
  scope.addEventListener('message', ({ data }) => {
    if (data === HELLO) void announce();
    else if (isTrainMessage(data)) serve(task, data.port);
  });
  scope.start?.();
  void announce();
}

function serve<I, O, P>(task: TrainingTask<I, O, P>, port: MessagePort): void {
  const cancel = new AbortController();
  port.onmessage = ({ data }: MessageEvent<ToTraining>) => {
    if (data.type === 'cancel') cancel.abort();
    else void run(task, data.input as I, cancel.signal, port);
  };
}

async function run<I, O, P>(
  task: TrainingTask<I, O, P>,
  input: I,
  signal: AbortSignal,
  port: MessagePort,
): Promise<void> {
  try {
    const output = await task({ input, signal, report: makeReport<P>(port, signal) });
    const ended = signal.aborted ? 'cancelled' : 'completed';
    post(port, 'what the task returned', output, {
      type: 'result',
      output,
      ended,
    } satisfies FromTraining);
  } catch (thrown) {
    const error = packError(signal.aborted && thrown === signal.reason ? cancelledError() : thrown);
    port.postMessage({ type: 'error', error } satisfies FromTraining);
  }
}

function makeReport<P>(port: MessagePort, signal: AbortSignal): Report<P> {
  const send = (progress: unknown) =>
    post(port, 'the progress', progress, { type: 'progress', progress });
  const warn = (given: TrainingWarning | string) => {
    const { message, plugin } = typeof given === 'string' ? { message: given } : given;
    port.postMessage({ type: 'warning', warning: { message, plugin } } satisfies FromTraining);
  };
  return Object.assign((progress: P) => send(progress), {
    callbacks: new FitReporter(send, signal),
    warn,
  });
}

const cancelledError = () =>
  new EspalierError('attach/worker-cancelled', {
    problem: 'the page cancelled the training, and its task threw signal.reason',
    fix: 'A task that returns after a cancellation gives the page the state so far.',
  });

/**
 * Holds a lock until the worker ends, so that the page notices: the browser frees it, however the worker
 * ends, and tells the page nothing else.
 *
 * @returns Its name; nothing where there are no locks: on pages that are not secure (http), in Node.
 */
function holdLock(): Promise<string | undefined> {
  const { locks } = globalThis.navigator ?? {};
  if (!locks) return Promise.resolve(undefined);
  const name = `espalier-training-${crypto.randomUUID()}`;
  return new Promise((resolve) => {
    void locks.request(name, () => {
      resolve(name);
      return new Promise(() => {});
    });
  });
}
