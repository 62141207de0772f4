import type * as tf from '@tensorflow/tfjs-core';
import { writeElements } from './memory.js';

/**
 * The wasm kernel stores numbers as bytes when it casts to bool: 0.5 and 256 become false, and -1
 * becomes 255. True is whatever is not zero, NaN too, as on the cpu backend.
 */
export const cast = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const { x } = params.inputs as Record<'x', tf.TensorInfo>;
    if (params.attrs?.['dtype'] !== 'bool') return original(params);
    return writeElements(params.backend, 'bool', x.shape, [x], (target, source) => {
      for (let i = 0; i < target.length; i++) target[i] = source![i] === 0 ? 0 : 1;
    });
  };
};
