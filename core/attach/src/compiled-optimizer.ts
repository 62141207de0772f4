import { fromTfOptimizer, tfjs } from '@espalier/core';
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
 */
export function readOptimizer(optimizer: tf.Optimizer): GradientTransform {
  if (!isExact(optimizer)) return fromTfOptimizer(() => cloneOptimizer(optimizer));
  const fresh = cloneOptimizer(optimizer); // one that has taken no steps
  try {
    return tfjs.convert(fresh, { learningRate: () => readRate(optimizer) });
  } finally {
    fresh.dispose();
  }
}

function cloneOptimizer(optimizer: tf.Optimizer): tf.Optimizer {
  const made = optimizer.constructor as tf.serialization.SerializableConstructor<tf.Optimizer>;
  return made.fromConfig(made, optimizer.getConfig());
}

interface Rated {
  learningRate: number;
  setLearningRate?(rate: number): void;
}

/** The learning rate of an optimizer as it is now. */
export function readRate(optimizer: tf.Optimizer): number {
  return (optimizer as unknown as Rated).learningRate;
}

/** Sets it; of `tf.train.sgd` its own method does. */
export function writeRate(optimizer: tf.Optimizer, rate: number): void {
  const rated = optimizer as unknown as Rated;
  if (rated.setLearningRate) rated.setLearningRate(rate);
  else rated.learningRate = rate;
}
