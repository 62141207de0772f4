import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Loss } from './loss.js';
import { refuseOptions } from './options.js';
import { meanPerExample } from './reduce.js';

/**
 * Mean squared error of outputs of any shape, against targets of the same shape; metric `mae` (mean absolute
 * error).
 *
 * @throws EspalierError `options/invalid` for any option: it has none.
 * @example
 * await createSession({ model, losses: { price: meanSquaredError() }, … });
 */
export function meanSquaredError(options = {}): Loss {
  refuseOptions('meanSquaredError', options);
  return {
    name: 'mean-squared-error',
    classIds: false,
    targets: 'numbers',
    weighsSteps: true,
    perExample: (output, target, steps) =>
      meanPerExample(tf.square(difference(output, target)), steps),
    metrics: (output, target, steps) => ({
      mae: meanPerExample(tf.abs(difference(output, target)), steps),
    }),
  };
}

function difference(output: Tensor, target: Tensor): Tensor {
  return tf.sub(output, tf.reshape(tf.cast(target, 'float32'), output.shape));
}
