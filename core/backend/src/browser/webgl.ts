import * as tf from '@tensorflow/tfjs-core';
import { NotAvailable, Unfit } from '../candidate.js';
import type { Candidate, Started } from '../candidate.js';

const backendPackage = '@tensorflow/tfjs-backend-webgl';

interface WebGlPackage {
  readonly version_webgl?: string;
}
interface RunningWebGl {
  readonly gpgpu: { readonly gl: WebGLRenderingContext };
}

async function load(): Promise<WebGlPackage> {
  try {
    // A literal, so that a bundler includes the package where it is installed.
    return (await import('@tensorflow/tfjs-backend-webgl')) as WebGlPackage;
  } catch {
    throw new NotAvailable('not installed', `npm install ${backendPackage}`);
  }
}

/** The card, as far as the browser tells it. */
function device(): string | undefined {
  const { gl } = (tf.backend() as unknown as RunningWebGl).gpgpu;
  const known = gl.getExtension('WEBGL_debug_renderer_info');
  return known ? String(gl.getParameter(known.UNMASKED_RENDERER_WEBGL)) : undefined;
}

async function setBackend(): Promise<boolean> {
  try {
    return await tf.setBackend('webgl');
  } catch {
    return false;
  }
}

async function start(): Promise<Started> {
  const { version_webgl: version = 'of unknown version' } = await load();
  if (!(await setBackend())) throw new NotAvailable('the browser gives no WebGL context');
  // `floatPrecision()` of tfjs 4.22 says 16 where it is 32.
  if (!tf.env().getBool('WEBGL_RENDER_FLOAT32_ENABLED')) {
    throw new Unfit('it keeps numbers in 16 bits here, in which gradients vanish and overflow');
  }
  return { version, simd: false, threads: 1, device: device() };
}

/** WebGL of the browser, where it computes in 32 bits. */
export const webgl: Candidate = {
  name: 'webgl',
  backend: 'webgl',
  package: backendPackage,
  install: `npm install ${backendPackage}`,
  start,
};
