import { installKernels } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';

/** Runs `fn` on a backend with its kernels repaired, and disposes what it made. */
export async function onBackend<T>(backend: 'wasm' | 'cpu', fn: () => T): Promise<T> {
  await tf.setBackend(backend);
  const uninstall = installKernels(backend);
  tf.engine().startScope();
  try {
    return fn();
  } finally {
    tf.engine().endScope();
    uninstall();
  }
}
