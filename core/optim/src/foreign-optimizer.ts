import { twoCopiesError } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Refuses an optimizer of another copy of tfjs. `instanceof` cannot tell: tfjs makes it ask for methods.
 *
 * @throws EspalierError `session/two-tfjs`.
 */
export function refuseForeignOptimizer(optimizer: tf.Optimizer): void {
  const ours = Object.prototype.isPrototypeOf.call(tf.Optimizer.prototype, optimizer);
  if (!ours && optimizer instanceof tf.Optimizer) throw twoCopiesError('the optimizer');
}
