import * as tf from '@tensorflow/tfjs-core';
import type { Candidate } from '../candidate.js';

/** A backend that the program has set and that none of the candidates is: it stays as it is. */
export const foreignBackend = (backend: string): Candidate => ({
  name: backend,
  backend,
  package: '',
  install: '',
  async start() {
    await tf.setBackend(backend);
    return {
      version: '',
      simd: false,
      threads: 1,
      device: 'set by the program',
      warning:
        `The current backend '${backend}' was kept. It is none that Espalier knows: gradients are ` +
        'repaired, kernels are not, and nothing is tested on it',
    };
  },
});
