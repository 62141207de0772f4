import { installKernels, useBackend } from '@espalier/backend';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import type { BackendName } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';

/** The backends to test, from `ESPALIER_TEST_BACKENDS` (comma separated). */
export const testBackends = (process.env['ESPALIER_TEST_BACKENDS'] ?? 'cpu,wasm')
  .split(',')
  .map((name) => name.trim())
  .filter((name) => name !== '');

/**
 * Makes `name` the active backend, able to run every gradient. The two that are always here get
 * their kernels only, so that a test decides itself when the gradients are repaired.
 */
export async function activate(name: string): Promise<void> {
  if (name === 'cpu' || name === 'wasm') {
    await tf.setBackend(name);
    installKernels(name);
  } else {
    await useBackend({ prefer: [name as BackendName] });
  }
}
