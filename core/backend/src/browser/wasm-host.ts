import type { WasmHost } from '../candidates/wasm.js';

/** The build takes `min(threads, floor(cores / 2))`: it is shown twice as many while it starts. */
async function countingTwice(threads: number, start: () => Promise<boolean>): Promise<boolean> {
  const cores = { value: 2 * threads, configurable: true };
  Object.defineProperty(navigator, 'hardwareConcurrency', cores);
  try {
    return await start();
  } finally {
    // The browser's own answer is on the prototype.
    Reflect.deleteProperty(navigator, 'hardwareConcurrency');
  }
}

/** Threads share memory, which a page gets only when it is isolated from other origins. */
export const browserHost: WasmHost = {
  obstacle: () =>
    globalThis.crossOriginIsolated
      ? undefined
      : 'the page is not cross-origin isolated; serve it with Cross-Origin-Opener-Policy: ' +
        'same-origin and Cross-Origin-Embedder-Policy: require-corp',
  around: (threads, start) => (threads > 1 ? countingTwice(threads, start) : start()),
};
