import type { WasmHost } from '../candidates/wasm.js';
import { startThreaded } from './wasm-threads.js';

type Listener = (...args: unknown[]) => void;
const events = ['uncaughtException', 'unhandledRejection'];
const listeners = (event: string): Listener[] => process.listeners(event as 'exit') as Listener[];

/**
 * The build listens for errors of the whole process and throws them again, so that every error of
 * the user's would be reported as its own, with exit code 7.
 */
async function withoutItsErrorListeners(start: () => Promise<boolean>): Promise<boolean> {
  const before = events.map(listeners);
  try {
    return await start();
  } finally {
    events.forEach((event, i) => {
      const added = listeners(event).filter((listener) => !before[i]!.includes(listener));
      for (const listener of added) process.off(event, listener);
    });
  }
}

/** Threads on request, and nothing left behind in the process. */
export const nodeHost: WasmHost = {
  obstacle: () => undefined,
  around: (threads, start) =>
    withoutItsErrorListeners(() => (threads > 1 ? startThreaded(threads, start) : start())),
};
