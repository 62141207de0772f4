import { createRequire } from 'node:module';
import os from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import type { UseBackendOptions } from '../backend-info.js';
import { NotAvailable } from '../candidate.js';
import type { Candidate, Started } from '../candidate.js';
import { findPeer, firstLine } from './peer.js';

const buildAddon = 'npx espalier-setup-native';

interface NativeBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: { readonly TF_Version: string };
}

/** tfjs-node calls two functions that Node 23 took out of `util`. */
function restoreNodeUtilities(): void {
  const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>;
  util['isArray'] ??= Array.isArray;
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
}

/** TensorFlow reads these once, when it is loaded. */
function setTensorFlowEnvironment({ threads }: UseBackendOptions): void {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  if (threads !== undefined) process.env['TF_NUM_INTRAOP_THREADS'] = String(threads);
}

async function load(id: string): Promise<void> {
  restoreNodeUtilities();
  try {
    await import(id);
  } catch (error) {
    const missing = firstLine(error).includes('tfjs_binding.node) can not be found');
    throw missing
      ? new NotAvailable('installed, but its native addon is not built', buildAddon)
      : new NotAvailable(`installed, but it does not load: ${firstLine(error)}`);
  }
}

async function start(id: string, options: UseBackendOptions): Promise<Started> {
  const version = findPeer(id);
  const loadedBefore = 'tensorflow' in tf.engine().registry;
  if (!loadedBefore) setTensorFlowEnvironment(options);
  await load(id);
  if (!(await tf.setBackend('tensorflow'))) throw new NotAvailable('it could not be started');
  const { isUsingGpuDevice, binding } = tf.backend() as unknown as NativeBackend;
  const limit = Number(process.env['TF_NUM_INTRAOP_THREADS']) || os.availableParallelism();
  return {
    version,
    simd: false,
    threads: limit,
    device: `${isUsingGpuDevice ? 'GPU' : 'CPU'}, TensorFlow ${binding.TF_Version}`,
    threadsObstacle: loadedBefore ? 'TensorFlow had been loaded before' : undefined,
  };
}

const native = (name: 'tfjs-node-gpu' | 'tfjs-node', install: string): Candidate => ({
  name,
  backend: 'tensorflow',
  package: `@tensorflow/${name}`,
  install,
  start: (options) => start(`@tensorflow/${name}`, options),
});

/** TensorFlow itself, with CUDA where the machine has it. */
export const nodeGpu = native('tfjs-node-gpu', buildAddon);
/** TensorFlow itself, on the processor. */
export const nodeCpu = native('tfjs-node', 'npm install @tensorflow/tfjs-node');
