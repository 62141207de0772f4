/** A worker of a browser, or a port that leads to one. */
interface TargetWorker {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(
    type: string,
    listener: (event: Event) => void,
    options?: AddEventListenerOptions,
  ): void;
  terminate?(): void;
}

/** A thread of Node. */
interface EmitterWorker {
  // Node has types of its own for what can be transferred.
  postMessage(message: unknown, transfer: never[]): void;
  on(event: string, listener: (...values: unknown[]) => void): unknown;
  off(event: string, listener: (...values: unknown[]) => void): unknown;
  terminate?(): unknown;
}

/** A module worker of a browser, or a `Worker` of `node:worker_threads`. */
export type TrainingWorker = TargetWorker | EmitterWorker;

/** What a page can hear of a worker. */
export interface WorkerEvents {
  message(data: unknown): void;
  /** The script threw outside of the task, or could not be loaded; the worker may go on. */
  error(why: string): void;
  /** The worker has ended. */
  end(why: string): void;
}

/** Listens until `signal` is aborted. */
export function listenTo(worker: TrainingWorker, events: WorkerEvents, signal: AbortSignal): void {
  if ('addEventListener' in worker) listenToTarget(worker, events, signal);
  else listenToEmitter(worker, events, signal);
  noticeTerminate(worker, events, signal);
}

function listenToTarget(worker: TargetWorker, events: WorkerEvents, signal: AbortSignal): void {
  const message = (event: Event) => events.message((event as MessageEvent).data);
  worker.addEventListener('message', message, { signal });
  worker.addEventListener('error', (event) => events.error(describe(event)), { signal });
  (worker as Partial<MessagePort>).start?.();
}

function describe(event: Event): string {
  const { message, filename, lineno } = event as Partial<ErrorEvent>;
  if (!message) return 'its script could not be loaded (is the address right?) or does not parse';
  return filename ? `${message} (${filename}:${lineno})` : message;
}

function listenToEmitter(worker: EmitterWorker, events: WorkerEvents, signal: AbortSignal): void {
  const listeners = {
    message: (data: unknown) => events.message(data),
    error: (error: unknown) => events.end(String(error)),
    exit: (code: unknown) => events.end(`it exited with code ${code}`),
  };
  for (const [event, listener] of Object.entries(listeners)) {
    worker.on(event, listener);
    signal.addEventListener('abort', () => worker.off(event, listener));
  }
}

/** Browsers say nothing when the page itself ends a worker. */
function noticeTerminate(worker: TrainingWorker, { end }: WorkerEvents, signal: AbortSignal): void {
  const { terminate } = worker;
  if (!terminate) return;
  worker.terminate = () => {
    end('the page called terminate()');
    return terminate.call(worker);
  };
  signal.addEventListener('abort', () => Reflect.deleteProperty(worker, 'terminate'));
}
