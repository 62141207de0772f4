import * as tf from '@tensorflow/tfjs-core';
import { NotAvailable } from '../candidate.js';
import type { Candidate } from '../candidate.js';

/** Plain JavaScript: always works, and is the reference that the others are tested against. */
export const cpu: Candidate = {
  name: 'cpu',
  backend: 'cpu',
  package: '@tensorflow/tfjs-backend-cpu',
  install: 'npm install @tensorflow/tfjs-backend-cpu',
  async start() {
    const { version_cpu: version } = await import('@tensorflow/tfjs-backend-cpu');
    if (!(await tf.setBackend('cpu'))) throw new NotAvailable('it could not be started');
    // Its first use advises, over several lines, what useBackend has said in one.
    Object.assign(tf.backend(), { firstUse: false });
    return { version, simd: false, threads: 1 };
  },
};
