import { EspalierError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { refuseForeignOptimizer } from '../foreign-optimizer.js';
import type { GradientTransform, Schedule } from '../transform.js';
import * as optimizers from './optimizers.js';

type Make = (config: never) => GradientTransform;

const MAKE = new Map<unknown, Make>([
  [tf.SGDOptimizer, optimizers.sgd],
  [tf.MomentumOptimizer, optimizers.momentum],
  [tf.AdamOptimizer, optimizers.adam],
  [tf.AdamaxOptimizer, optimizers.adamax],
  [tf.RMSPropOptimizer, optimizers.rmsprop],
  [tf.AdagradOptimizer, optimizers.adagrad],
  [tf.AdadeltaOptimizer, optimizers.adadelta],
]);

/**
 * The resumable variant of an optimizer of `tf.train`, e.g. that of a compiled model, with the same
 * settings: `tfjs.convert(tf.train.adam(0.01))`. `changes` replaces some of them, e.g. the learning rate
 * by a schedule. The optimizer stays the caller's, unchanged.
 *
 * @throws EspalierError `optim/convert` for other classes, and for one that has taken steps: its
 * state is kept by position and cannot be taken over.
 */
export function convert(
  optimizer: tf.Optimizer,
  changes: { readonly learningRate?: Schedule } = {},
): GradientTransform {
  refuseForeignOptimizer(optimizer);
  const make = MAKE.get(optimizer.constructor);
  if (!make) {
    throw new EspalierError('optim/convert', {
      problem: 'tfjs.convert: this is no optimizer of tf.train',
      received: optimizer.constructor.name,
      fix: 'Use fromTfOptimizer(() => …), which runs any optimizer but cannot be resumed.',
    });
  }
  if (optimizer.iterations > 0 && make !== optimizers.sgd) {
    throw new EspalierError('optim/convert', {
      problem: 'tfjs.convert: the optimizer has taken steps, and its state cannot be taken over',
      received: optimizer.iterations,
      fix: 'Make a new one, or use fromTfOptimizer.',
    });
  }
  return make({ ...optimizer.getConfig(), ...changes } as never);
}
