import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Repair } from './repair.js';
import { repairs } from './repairs.js';

/** Undoes an installation. Calling it again does nothing. */
export type Uninstall = () => void;

interface Installation {
  users: number;
  /** What each repaired kernel was before; `undefined` where there was none. */
  readonly before: ReadonlyMap<string, tf.KernelConfig | undefined>;
}

const installations = new Map<string, Installation>();

const absent: tf.KernelFunc = () => {
  throw new Error('A repair of a missing kernel has no kernel to call.');
};

function replaceKernel(name: string, backend: string, config: tf.KernelConfig | undefined): void {
  if (tf.getKernel(name, backend)) tf.unregisterKernel(name, backend);
  if (config) tf.registerKernel(config);
}

function apply(repair: Repair, backend: string): void {
  const current = tf.getKernel(repair.name, backend) as tf.KernelConfig | undefined;
  // A later tfjs may have the kernel after all: then its own is the one to use.
  if (repair.kind === 'missing' && current) return;
  const kernelFunc = repair.make(current?.kernelFunc ?? absent);
  const names = { kernelName: repair.name, backendName: backend };
  replaceKernel(repair.name, backend, { ...current, ...names, kernelFunc });
}

function install(backend: string, applicable: readonly Repair[]): Installation {
  if (tf.getKernelsForBackend(backend).length === 0) {
    throw new EspalierError('backend/no-kernels', {
      problem: `Cannot repair the kernels of the backend '${backend}': it has none registered`,
      fix: `Import '@tensorflow/tfjs-backend-${backend}' first.`,
    });
  }
  const before = new Map(
    applicable.map(({ name }) => [
      name,
      tf.getKernel(name, backend) as tf.KernelConfig | undefined,
    ]),
  );
  for (const repair of applicable) apply(repair, backend);
  return { users: 0, before };
}

/**
 * Makes a backend of TensorFlow.js 4.22 able to train, and fast at it, by adding and replacing kernels
 * in tfjs's global registry: see {@link repairs}. Installing twice changes nothing more; the
 * registry is as it was before when every installation has been undone. Backends that need nothing,
 * such as `webgpu`, are left alone.
 *
 * @param backend The name of a tfjs backend whose package has been imported.
 * @returns A function that undoes this installation.
 * @throws EspalierError `backend/no-kernels` if the backend needs repairs and none of its kernels is registered.
 * @example
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-wasm';
 * await tf.setBackend('wasm');
 * const uninstall = installKernels('wasm');
 * const filter = tf.variable(tf.ones([3, 3, 1, 4]));
 * const gradient = tf.grad((f: tf.Tensor4D) => tf.conv2d(tf.ones([1, 8, 8, 1]), f, 1, 'same'))(filter);
 * uninstall();
 */
export function installKernels(backend: string): Uninstall {
  const applicable = repairs.filter(({ backends }) => backends.includes(backend));
  if (applicable.length === 0) return () => {};
  const installation = installations.get(backend) ?? install(backend, applicable);
  installations.set(backend, installation);
  installation.users++;
  let installed = true;
  return () => {
    if (!installed) return;
    installed = false;
    if (--installation.users > 0) return;
    installations.delete(backend);
    for (const [name, config] of installation.before) replaceKernel(name, backend, config);
  };
}
