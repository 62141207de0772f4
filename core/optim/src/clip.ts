import { parseOptions } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import { withSettings } from './describe.js';
import { positive } from './schemas.js';
import type { GradientTransform } from './transform.js';
import { noRate, perParameter } from './transform.js';

/**
 * Clips every element to [-limit, limit].
 *
 * @throws EspalierError `options/invalid` unless `limit` is positive.
 * @example
 * chain(clipByValue(0.5), adam());
 */
export function clipByValue(limit: number): GradientTransform {
  const max = parseOptions('clipByValue', positive, limit);
  const kernel = (grad: tf.Tensor) => [tf.clipByValue(grad, -max, max)] as const;
  const transform = { ...perParameter('clipByValue', [], () => kernel), learningRate: noRate };
  return withSettings(transform, { limit });
}

/**
 * Scales each gradient by itself so that its L2 norm is at most `maxNorm`.
 *
 * @throws EspalierError `options/invalid` unless `maxNorm` is positive.
 * @example
 * chain(clipByNorm(1), adam());
 */
export function clipByNorm(maxNorm: number): GradientTransform {
  const max = parseOptions('clipByNorm', positive, maxNorm);
  const kernel = (grad: tf.Tensor) => [tf.mul(grad, shrinkage([grad], max))] as const;
  const transform = { ...perParameter('clipByNorm', [], () => kernel), learningRate: noRate };
  return withSettings(transform, { maxNorm });
}

/**
 * Scales all gradients by one factor so that their joint L2 norm is at most `maxNorm` (Pascanu et al., ICML
 * 2013). It never waits for the device.
 *
 * @throws EspalierError `options/invalid` unless `maxNorm` is positive.
 * @example
 * chain(clipByGlobalNorm(1), adam());
 */
export function clipByGlobalNorm(maxNorm: number): GradientTransform {
  const max = parseOptions('clipByGlobalNorm', positive, maxNorm);
  return {
    name: 'clipByGlobalNorm',
    settings: { maxNorm: max },
    learningRate: noRate,
    init: () => ({}),
    update(grads) {
      if (Object.keys(grads).length === 0) return { updates: grads, state: {} };
      // Sorted: float addition depends on order, and the order of keys must not change a result.
      const sorted = Object.entries(grads).sort(([a], [b]) => (a < b ? -1 : 1));
      const by = shrinkage(
        sorted.map(([, grad]) => grad),
        max,
      );
      const updates = sorted.map(([path, grad]) => [path, tf.mul(grad, by)]);
      return { updates: Object.fromEntries(updates), state: {} };
    },
  };
}

/** maxNorm / max(norm, maxNorm): exactly 1 for short gradients, and no division by zero. */
function shrinkage(grads: readonly tf.Tensor[], maxNorm: number): tf.Tensor {
  const squares = grads.map((grad) => tf.sum(tf.square(grad)));
  return tf.div(maxNorm, tf.maximum(tf.sqrt(tf.addN(squares)), maxNorm));
}
