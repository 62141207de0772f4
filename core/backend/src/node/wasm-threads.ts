import { createRequire } from 'node:module';
import os from 'node:os';
import * as tf from '@tensorflow/tfjs-core';

const require = createRequire(import.meta.url);
const build = '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd';

/**
 * The package's own worker, started as a module. It expects what a CommonJS worker has, and gets
 * the main script as a Blob, which Node cannot import; here that is answered with its file.
 */
function workerUrl(): URL {
  const main = JSON.stringify(require.resolve(`${build}.js`));
  const worker = JSON.stringify(require.resolve(`${build}.worker.js`));
  const source = `
    import { createRequire } from 'node:module';
    globalThis.__filename = ${main};
    globalThis.require = createRequire(${main});
    URL.createObjectURL = () => ${main};
    URL.revokeObjectURL = () => {};
    (0, eval)(require(${worker}).wasmWorkerContents.replace(/\\n/g, '\\\\n'));`;
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

/** Replaces a method until the returned function is called. */
function answer(object: object, method: string, value: () => unknown): () => void {
  const original: unknown = Reflect.get(object, method);
  Reflect.set(object, method, value);
  return () => void Reflect.set(object, method, original);
}

interface PthreadPool {
  readonly runningWorkers: readonly { unref(): void }[];
  readonly unusedWorkers: readonly { unref(): void }[];
}

/** The workers wait for work that only this process gives them: they need not keep it alive. */
function letProcessExit(): void {
  const { wasm } = tf.backend() as unknown as { readonly wasm: { readonly PThread?: PthreadPool } };
  const pool = wasm.PThread;
  for (const worker of [...(pool?.runningWorkers ?? []), ...(pool?.unusedWorkers ?? [])]) {
    worker.unref();
  }
}

/**
 * Starts the threaded build in Node, where tfjs switches it off because its Blob worker cannot load.
 * The build takes `min(threads, floor(cpus / 2))` threads, so that it is shown twice as many
 * processors as threads asked for while it starts.
 */
export async function startThreaded(
  threads: number,
  start: () => Promise<boolean>,
): Promise<boolean> {
  const url = workerUrl();
  const cpu = os.cpus()[0];
  const restore = [
    answer(URL, 'createObjectURL', () => url),
    answer(os, 'cpus', () => Array.from({ length: 2 * threads }, () => cpu)),
  ];
  try {
    const started = await start();
    if (started) letProcessExit();
    return started;
  } finally {
    for (const undo of restore) undo();
  }
}
