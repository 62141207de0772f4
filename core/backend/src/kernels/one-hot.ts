import type * as tf from '@tensorflow/tfjs-core';
import { writeElements } from './memory.js';
import type { ElementType } from './memory.js';

interface Attrs {
  readonly depth: number;
  readonly onValue: number;
  readonly offValue: number;
  readonly dtype: ElementType;
}

/**
 * The wasm kernel writes integers whatever the dtype: a float32 result holds their bits, 1.4e-45 for 1,
 * and a bool result is overrun by a factor of four. Indices out of range give a row without the one.
 */
export const oneHot: tf.KernelFunc = ({ inputs, attrs, backend }) => {
  const { indices } = inputs as Record<'indices', tf.TensorInfo>;
  const { depth, onValue, offValue, dtype } = attrs as unknown as Attrs;
  return writeElements(backend, dtype, [...indices.shape, depth], [indices], (target, ids) => {
    target.fill(offValue);
    ids!.forEach((id, row) => {
      if (id >= 0 && id < depth) target[row * depth + id] = onValue;
    });
  });
};
