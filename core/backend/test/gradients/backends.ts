import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { installKernels } from '../../src/kernels/index.js';

/** The backends to test, from `ESPALIER_TEST_BACKENDS` (comma separated). */
export const testBackends = (process.env['ESPALIER_TEST_BACKENDS'] ?? 'cpu,wasm')
  .split(',')
  .map((name) => name.trim())
  .filter((name) => name !== '');

/** Makes `name` the active backend. */
export async function activate(name: string): Promise<void> {
  await tf.setBackend(name);
  await tf.ready();
  installKernels(name as 'cpu' | 'wasm');
}
