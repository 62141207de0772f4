import * as tf from '@tensorflow/tfjs-core';
import type { Hypergradient } from '../problem.js';

/** What a run of an estimator costs. */
export interface Cost {
  readonly milliseconds: number;
  /** The most tensors that lived at once, beyond those before. */
  readonly peakTensors: number;
  /** The most bytes that they took. */
  readonly peakBytes: number;
}

/** Median time of some runs, and the peaks of one more. */
export async function measureCost(run: () => Hypergradient, runs: number): Promise<Cost> {
  const times: number[] = [];
  for (let i = 0; i < runs; i += 1) {
    const start = performance.now();
    const { outer, gradients } = run();
    await outer.data();
    times.push(performance.now() - start);
    tf.dispose([outer, ...Object.values(gradients)]);
  }
  const before = tf.memory();
  const { kernels, result } = await tf.profile(() => {
    const { outer, gradients } = run();
    tf.dispose(Object.values(gradients));
    return outer;
  });
  tf.dispose(result);
  const most = (key: 'totalBytesSnapshot' | 'totalTensorsSnapshot') =>
    kernels.reduce((peak, kernel) => Math.max(peak, kernel[key]), 0);
  return {
    milliseconds: times.sort((a, b) => a - b)[Math.floor(runs / 2)]!,
    peakTensors: most('totalTensorsSnapshot') - before.numTensors,
    peakBytes: most('totalBytesSnapshot') - before.numBytes,
  };
}
