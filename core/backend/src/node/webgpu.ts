import * as tf from '@tensorflow/tfjs-core';
import { NotAvailable } from '../candidate.js';
import type { Candidate, Started } from '../candidate.js';
import { findPeer, firstLine } from './peer.js';

const adapterPackage = 'webgpu';
const backendPackage = '@tensorflow/tfjs-backend-webgpu';

interface Adapter {
  readonly info?: { readonly device?: string; readonly description?: string };
}
interface Gpu {
  requestAdapter(): Promise<Adapter | null>;
}
interface Dawn {
  create(options: readonly string[]): Gpu;
  readonly globals: object;
}

async function loadDawn(): Promise<Dawn> {
  try {
    return (await import(adapterPackage)) as Dawn;
  } catch (error) {
    throw new NotAvailable(`${adapterPackage} does not load: ${firstLine(error)}`);
  }
}

/** Node's `navigator` cannot be replaced by assignment, and Node 20 has none. */
function setNavigatorGpu(gpu: Gpu): void {
  if (!globalThis.navigator) {
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  }
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
}

/** Dawn keeps the process alive for as long as something holds its `gpu`. */
function stop(): void {
  tf.removeBackend('webgpu');
  Reflect.deleteProperty(globalThis.navigator, 'gpu');
}

/** It runs already: its adapter stays. */
async function startAgain(): Promise<Started> {
  if (!(await tf.setBackend('webgpu'))) throw new NotAvailable('it could not be started');
  return { version: findPeer(backendPackage), simd: false, threads: 1 };
}

async function start(): Promise<Started> {
  if ('webgpu' in tf.engine().registry) return startAgain();
  findPeer(adapterPackage);
  const version = findPeer(backendPackage);
  const dawn = await loadDawn();
  const gpu = dawn.create([]);
  const adapter = await gpu.requestAdapter();
  if (!adapter) {
    throw new NotAvailable(
      'installed, but no graphics adapter was found',
      'install a Vulkan driver',
    );
  }
  // The backend looks for these when it is loaded, and only then.
  Object.assign(globalThis, dawn.globals);
  setNavigatorGpu(gpu);
  await import(backendPackage);
  if (!(await tf.setBackend('webgpu'))) throw new NotAvailable('it could not be started');
  const device = adapter.info?.device || adapter.info?.description || undefined;
  return { version, simd: false, threads: 1, device, stop };
}

/** WebGPU through Dawn. Values can only be read asynchronously: `dataSync()` throws. */
export const webgpu: Candidate = {
  name: 'webgpu',
  backend: 'webgpu',
  package: backendPackage,
  install: `npm install ${adapterPackage} ${backendPackage}`,
  start,
};
