import { EspalierError, fromTfOptimizer, tfjs } from '@espalier/core';
import type { GradientTransform } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';

/** The classes that have an exact variant which can be resumed. */
const EXACT: readonly unknown[] = [
  tf.SGDOptimizer,
  tf.MomentumOptimizer,
  tf.AdamOptimizer,
  tf.AdamaxOptimizer,
  tf.RMSPropOptimizer,
  tf.AdagradOptimizer,
  tf.AdadeltaOptimizer,
];

/** Whether {@link readOptimizer} gives a transform that checkpoints can resume. */
export function isExact(optimizer: tf.Optimizer): boolean {
  return EXACT.includes(optimizer.constructor);
}

/**
 * The compiled optimizer as a transform. It reads the learning rate at each step, so one that a callback sets
 * takes effect.
 *
 * @throws EspalierError `attach/optimizer-used` for one that has taken steps.
 */
export function readOptimizer(optimizer: tf.Optimizer): GradientTransform {
  if (!isExact(optimizer)) return fromTfOptimizer(() => cloneOptimizer(optimizer));
  refuseUsed(optimizer);
  return tfjs.convert(optimizer, { learningRate: () => readRate(optimizer) });
}

function cloneOptimizer(optimizer: tf.Optimizer): tf.Optimizer {
  const made = optimizer.constructor as tf.serialization.SerializableConstructor<tf.Optimizer>;
  return made.fromConfig(made, optimizer.getConfig());
}

function readRate(optimizer: tf.Optimizer): number {
  return (optimizer as unknown as { readonly learningRate: number }).learningRate;
}

function refuseUsed(optimizer: tf.Optimizer): void {
  if (optimizer.iterations === 0 || optimizer.constructor === tf.SGDOptimizer) return;
  throw new EspalierError('attach/optimizer-used', {
    problem: `attach: the compiled optimizer has taken ${optimizer.iterations} steps, and what it remembers of them cannot be taken over`,
    received: optimizer.constructor.name,
    fix: 'Attach before the first fit, or compile the model again.',
  });
}
