/**
 * The backends {@link useBackend} knows, in the order in which it tries them: fastest first on a machine
 * that has them all, but webgl only where wasm cannot be computed, since not every card computes in 32 bits.
 */
export const backendNames = [
  'tfjs-node-gpu',
  'tfjs-node',
  'webgpu',
  'wasm',
  'webgl',
  'cpu',
] as const;

/** One of {@link backendNames}. */
export type BackendName = (typeof backendNames)[number];

/** What a caller may ask of {@link useBackend}. */
export interface UseBackendOptions {
  /**
   * The only backends to consider, best first; the first that works is used. Nothing outside the
   * list is tried. Default: all of {@link backendNames}.
   */
  readonly prefer?: BackendName | readonly BackendName[];
  /**
   * How many threads to compute with, at least 1; 1 on wasm unless asked, and at most 8 there. On
   * the native backends it limits TensorFlow's threads, which by default take all cores. What was
   * really taken stands in {@link BackendInfo.threads}.
   */
  readonly threads?: number;
  /** Folder or URL prefix that serves the `.wasm` files; a bundled page needs it. */
  readonly wasmPaths?: string;
}

/** A backend that came earlier in the order and was not chosen. */
export interface SkippedBackend {
  /** One of {@link backendNames}. */
  readonly name: BackendName;
  /** Why it was not chosen, as half a sentence. */
  readonly reason: string;
  /** The command or step that makes it available. */
  readonly install: string;
}

/** The backend in use and how to leave it. */
export interface BackendInfo {
  /** The name TensorFlow.js knows it by: `tensorflow` for both native ones. */
  readonly backend: string;
  /** The name it was picked by; of a backend that is none of ours, the one TensorFlow.js has. */
  readonly name: BackendName | (string & Record<never, never>);
  /** The npm package it came from; empty where that is unknown. */
  readonly package: string;
  /** The version of that package; for a native one, TensorFlow's own stands in `device`. */
  readonly version: string;
  /** Whether WebAssembly SIMD is in use. */
  readonly simd: boolean;
  /** Threads in use; for a native backend the limit set, or the machine's cores. */
  readonly threads: number;
  /** What computes, where the backend can tell: `CPU, TensorFlow 2.21.0`, an adapter's name. */
  readonly device?: string;
  /** The backends that come earlier in the order, each with the reason why it was not chosen. */
  readonly skipped: readonly SkippedBackend[];
  /** What was chosen, in words, without the others. */
  readonly chosen: string;
  /** All of the above in one line, to print. */
  readonly line: string;
  /** What a user must know about the choice, as a sentence, if there is anything. */
  readonly warning?: string;
  /**
   * Takes the installed kernels and gradients out again and ends worker threads. Threaded wasm is
   * shut down with its tensors; every other backend stays set, as plain TensorFlow.js. Safe to
   * call twice.
   */
  dispose(): void;
}
