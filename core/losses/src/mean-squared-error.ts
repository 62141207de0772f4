import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Loss } from './loss.js';
import { refuseOptions } from './options.js';
import { meanPerExample } from './reduce.js';

/**
 * Mean squared error of whatever the model gives; metric `mae`.
 *
 * @throws EspalierError `options/invalid`: it has none.
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
