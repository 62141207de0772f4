import * as tf from '@tensorflow/tfjs-core';
import { writeTensor } from './memory.js';

/** Repeats every block of `length` floats `times` times, doubling what is there. */
function repeatBlocks(
  target: Float32Array,
  source: Float32Array,
  length: number,
  times: number,
): void {
  for (let from = 0; from < source.length; from += length) {
    const start = from * times;
    const end = start + length * times;
    target.set(source.subarray(from, from + length), start);
    for (let filled = start + length; filled < end;) {
      const count = Math.min(filled - start, end - filled);
      target.copyWithin(filled, start, start + count);
      filled += count;
    }
  }
}

/**
 * The wasm kernel computes the index of every single element, at 70 ns each; `tf.broadcastTo` and the
 * gradient of batch normalization use it. The repair repeats whole blocks, the last axis first.
 */
export const tile = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const x = params.inputs['x'] as tf.Tensor;
    const reps = params.attrs?.['reps'] as number[];
    if (x.dtype !== 'float32') return original(params);
    return tf.tidy(() => {
      let tiled = tf.clone(x);
      for (let axis = x.rank - 1; axis >= 0; axis--) {
        const times = reps[axis]!;
        if (times === 1) continue;
        const shape = tiled.shape.map((n, i) => (i === axis ? n * times : n));
        const length = tf.util.sizeFromShape(tiled.shape.slice(axis));
        tiled = writeTensor(params.backend, shape, [tiled], (target, source) =>
          repeatBlocks(target, source!, length, times),
        );
      }
      return tiled;
    });
  };
};
