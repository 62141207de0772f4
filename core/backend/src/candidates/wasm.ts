import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { UseBackendOptions } from '../backend-info.js';
import { NotAvailable } from '../candidate.js';
import type { Candidate, Started } from '../candidate.js';

/** What differs between Node and a browser when the wasm build starts. */
export interface WasmHost {
  /** Why threads cannot be computed here. */
  obstacle(): string | undefined;
  /** Calls `start` such that the build finds its workers, if it is to have several threads. */
  around(threads: number, start: () => Promise<boolean>): Promise<boolean>;
}

const mostThreads = 8;
const isRunning = (): boolean => 'wasm' in tf.engine().registry;

/** A running wasm backend cannot change its number of threads, and its tensors end with it. */
function makeRoomForThreads(): void {
  if (!isRunning()) return;
  if (tf.memory().numTensors > 0) {
    throw new EspalierError('backend/wasm-running', {
      problem:
        `useBackend: wasm already runs with 1 thread and holds ${tf.memory().numTensors} tensors, so ` +
        'it cannot be restarted with more',
      fix: 'Ask for threads in the first call, before any tensor is made.',
    });
  }
  stop();
}

/** Ends the backend and its workers, and leaves it registered, to be started again. */
function stop(): void {
  const factory = tf.findBackendFactory('wasm');
  const priority = tf.engine().registryFactory['wasm']?.priority;
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', factory, priority);
}

async function setBackend(): Promise<boolean> {
  try {
    return await tf.setBackend('wasm');
  } catch {
    return false;
  }
}

async function start(options: UseBackendOptions, host: WasmHost): Promise<Started> {
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  const simd = Boolean(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT'));
  const asked = options.threads ?? 1;
  const obstacle = simd ? host.obstacle() : 'threads need SIMD';
  const threaded = asked > 1 && obstacle === undefined;
  if (threaded) makeRoomForThreads();
  if (!isRunning()) {
    if (options.wasmPaths !== undefined) wasm.setWasmPaths(options.wasmPaths);
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', threaded);
    wasm.setThreadsCount(threaded ? asked : 1);
  }
  const threads = threaded ? Math.min(asked, mostThreads) : 1;
  if (!(await host.around(threads, setBackend))) {
    throw new NotAvailable(
      'its .wasm file could not be loaded',
      'serve the .wasm files of the package and name their folder in wasmPaths',
    );
  }
  return {
    version: wasm.version_wasm,
    simd,
    threads: wasm.getThreadsCount(),
    threadsObstacle: obstacle,
    stop: threaded ? stop : undefined,
  };
}

/** WebAssembly through XNNPACK, with SIMD wherever the machine has it; comes with this package. */
export const wasm = (host: WasmHost): Candidate => ({
  name: 'wasm',
  backend: 'wasm',
  package: '@tensorflow/tfjs-backend-wasm',
  install: 'npm install @tensorflow/tfjs-backend-wasm',
  start: (options) => start(options, host),
});
