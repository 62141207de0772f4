import { EspalierError } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';

/**
 * The parameters after a step: θ + scale · update for every path that has an update; `scale` is 1 in
 * `optax.apply_updates`. Paths without an update are not in the result. Disposes nothing; the
 * caller owns the new tensors, each of its parameter's shape and dtype.
 *
 * @throws EspalierError `optim/missing-parameter` for an update of a path that `params` does not have.
 * @example
 * const { updates, state } = optimizer.update(gradients, before, params, { step });
 * const next = { ...params, ...applyUpdates(params, updates) };
 */
export function applyUpdates(params: NamedTensors, updates: NamedTensors, scale = 1): NamedTensors {
  const next = Object.entries(updates).map(([path, update]) => {
    const param = params[path] ?? throwMissing(path, params);
    return [path, tf.add(param, scaleUpdate(update, scale))] as const;
  });
  return Object.fromEntries(next);
}

/** The update times the scale; at 1 the update itself, to the bit. */
export function scaleUpdate(update: tf.Tensor, scale: number): tf.Tensor {
  return scale === 1 ? update : tf.mul(update, scale);
}

function throwMissing(path: string, params: NamedTensors): never {
  throw new EspalierError('optim/missing-parameter', {
    problem: `applyUpdates: '${path}' has an update, but is not among the parameters`,
    received: Object.keys(params),
    fix: 'Pass the parameters that the optimizer got.',
  });
}
