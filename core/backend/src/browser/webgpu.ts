import * as tf from '@tensorflow/tfjs-core';
import { NotAvailable } from '../candidate.js';
import type { Candidate, Started } from '../candidate.js';

const backendPackage = '@tensorflow/tfjs-backend-webgpu';

interface WebGpuBackend {
  readonly version_webgpu?: string;
}

async function load(): Promise<WebGpuBackend> {
  try {
    // A literal, so that a bundler includes the package where it is installed.
    return (await import('@tensorflow/tfjs-backend-webgpu')) as WebGpuBackend;
  } catch {
    throw new NotAvailable('not installed', `npm install ${backendPackage}`);
  }
}

async function start(): Promise<Started> {
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<object | null> } }).gpu;
  if (!gpu) throw new NotAvailable('this browser has no WebGPU here');
  if (!(await gpu.requestAdapter())) throw new NotAvailable('the browser offers no adapter');
  const { version_webgpu: version = 'of unknown version' } = await load();
  if (!(await tf.setBackend('webgpu'))) throw new NotAvailable('it could not be started');
  return { version, simd: false, threads: 1 };
}

/** WebGPU of the browser. Values can only be read asynchronously: `dataSync()` throws. */
export const webgpu: Candidate = {
  name: 'webgpu',
  backend: 'webgpu',
  package: backendPackage,
  install: `a browser with WebGPU, and npm install ${backendPackage}`,
  start,
};
