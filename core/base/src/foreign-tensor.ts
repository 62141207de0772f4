import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { twoCopiesError } from './two-copies-error.js';

/** Every live tensor that the engine in use knows, by what holds its value. */
interface KnownTensors {
  readonly state: { readonly tensorInfo: Pick<WeakMap<object, unknown>, 'has'> };
}

/**
 * Returns the value. Refuses a tensor that another copy of TensorFlow.js made: no kernel here can read it.
 *
 * @param what Names the value in the error: `the input 'x'`.
 * @throws EspalierError `session/two-tfjs`.
 * @example
 * const x = refuseForeignTensor("the input 'x'", batch.x);
 */
export function refuseForeignTensor<T>(what: string, value: T): T {
  if (!(value instanceof tf.Tensor) || value.isDisposed) return value;
  const { state } = tf.engine() as unknown as KnownTensors;
  if (state.tensorInfo.has((value as Tensor).dataId)) return value;
  throw twoCopiesError(what);
}
