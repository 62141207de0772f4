import type { WasmHost } from '../candidates/wasm.js';

/** Threads share memory, which a page gets only when it is isolated from other origins. */
export const browserHost: WasmHost = {
  obstacle: () =>
    globalThis.crossOriginIsolated
      ? undefined
      : 'the page is not cross-origin isolated; serve it with Cross-Origin-Opener-Policy: ' +
        'same-origin and Cross-Origin-Embedder-Policy: require-corp',
  around: (_threads, start) => start(),
};
