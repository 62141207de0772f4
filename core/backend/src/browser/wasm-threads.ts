import type { WasmThreads } from '../candidates/wasm.js';

/** Threads share memory, which a page gets only when it is isolated from other origins. */
export const browserThreads: WasmThreads = {
  obstacle: () =>
    globalThis.crossOriginIsolated
      ? undefined
      : 'the page is not cross-origin isolated; serve it with Cross-Origin-Opener-Policy: ' +
        'same-origin and Cross-Origin-Embedder-Policy: require-corp',
  around: (_threads, start) => start(),
};
